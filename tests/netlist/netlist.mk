# Units and the whole core after synthesis, with vendor cell models.
.PHONY: netlist netlist-core
NETLIST := BUILD='$(BUILD)' tests/netlist/unit
NETLIST_ARRAY := rtl/array/espl_pe2.sv rtl/array/espl_array_feed.sv rtl/array/espl_array.sv
NETLIST_REQUANT := rtl/common/espl_hold.sv rtl/store/espl_satshift.sv $(addprefix rtl/store/espl_requant,_pipe.sv _serial.sv .sv)
netlist: ## array and requantizer as netlists of vendor cells against the definition (RTL_SEED=)
	$(Q)$(NETLIST) array-ice40up ice40up tb_espl_array espl_array $(RTL_SEED) Rows=4 Cols=4 MulStages=1 -- rtl/array/espl_pe2_ice40.sv $(NETLIST_ARRAY)
	$(Q)$(NETLIST) array-ice40hx ice40hx tb_espl_array espl_array $(RTL_SEED) Rows=4 Cols=4 MulStages=1 -- rtl/array/espl_mul8.sv $(NETLIST_ARRAY)
	$(Q)$(NETLIST) array-ice40up-broken ice40up tb_espl_array espl_array $(RTL_SEED) Rows=4 Cols=4 MulStages=1 -- rtl/array/espl_pe2_ice40.sv $(NETLIST_ARRAY)
	$(Q)$(NETLIST) array-xc7 xc7 tb_espl_array espl_array $(RTL_SEED) Rows=4 Cols=4 MulStages=1 -- rtl/array/espl_pe2_xc7.sv $(NETLIST_ARRAY)
	$(Q)$(NETLIST) array-xc7-two xc7 tb_espl_array espl_array $(RTL_SEED) Rows=4 Cols=2 MulStages=2 -- rtl/array/espl_pe2_xc7.sv $(NETLIST_ARRAY)
	$(Q)$(NETLIST) array-ecp5 ecp5 tb_espl_array espl_array $(RTL_SEED) Rows=4 Cols=4 MulStages=1 -- rtl/array/espl_mul_ecp5.sv rtl/array/espl_pe2_ecp5.sv $(NETLIST_ARRAY)
	$(Q)$(NETLIST) array-ecp5-two ecp5 tb_espl_array espl_array $(RTL_SEED) Rows=4 Cols=2 MulStages=2 -- rtl/array/espl_mul_ecp5.sv rtl/array/espl_pe2_ecp5.sv $(NETLIST_ARRAY)
	$(Q)$(NETLIST) requant-ice40-serial ice40hx tb_espl_requant espl_requant $(RTL_SEED) RqCycles=18 Residual=1 MulStages=1 -- $(NETLIST_REQUANT)
netlist-core: ## the whole core's netlist (4x4 with multiplier blocks) against the C model on random programs (SEED= PROGRAMS=)
	@$(SUB) $(BUILD)/cosim $(BUILD)/espalier
	$(Q)BUILD='$(BUILD)' tests/netlist/core $(BUILD)/espalier $(BUILD)/cosim icebreaker up5k $(TEST_SEED) $(or $(PROGRAMS),40)
TEST_TARGETS += netlist netlist-core
