# Synthesis: make synth BOARD=name MACHINE=name.
.PHONY: synth
synth: ## utilization of a board by a core (BOARD=icebreaker|hx8k|ulx3s|arty MACHINE=)
	@scripts/setup
	@$(SUB) build
	$(Q)$(BUILD)/espalier synth --board $(or $(BOARD),$(error BOARD=name is needed)) $(if $(MACHINE),--machine '$(MACHINE)') --out '$(BUILD)/synth'
