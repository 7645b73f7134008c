# Synthesis: make synth BOARD=name MACHINE=name.
.PHONY: synth calibrate
synth: ## utilization of a board by a core (BOARD=icebreaker|hx8k|ulx3s|arty MACHINE=)
	@scripts/setup
	@$(SUB) build
	$(Q)$(BUILD)/espalier synth --board $(or $(BOARD),$(error BOARD=name is needed)) $(if $(MACHINE),--machine '$(MACHINE)') --out '$(BUILD)/synth'
calibrate: ## synthesize the points of the cost model, resumable, an hour or more; with BOARD= MACHINE= route one design for its clock
	@scripts/setup
	@$(SUB) build
	$(Q)hw/synth/calibrate '$(BUILD)/espalier' '$(BUILD)/calibrate' $(if $(BOARD),--route '$(BOARD)' '$(or $(MACHINE),$(error MACHINE=name is needed beside BOARD))')
