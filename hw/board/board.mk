# Bitstreams: place and route of whole boards. Minutes each, and not a part of `make test`.
.PHONY: bitstream
bitstream: ## a board's bitstream, its utilization, clock and rates (BOARD=ulx3s|icebreaker|hx8k|arty MACHINE=)
	@scripts/setup
	@$(SUB) build
	$(Q)hw/board/bitstream '$(BUILD)/espalier' $(or $(BOARD),$(error BOARD=name is needed)) '$(BUILD)/bitstream' $(MACHINE)
