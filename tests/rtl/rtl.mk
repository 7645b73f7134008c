# Benches of the RTL units. `make rtl` verilates what changed and runs every bench (RTL_SEED=n); each prints PASS or FAIL.
#
# $(eval $(call rtl_bench,BENCH,CONFIG,PARAMETERS,RTL FILES,OTHER OBJECTS)): BENCH is tests/rtl/BENCH.cpp, its top module is TOP_BENCH
# (default: the name without tb_), the Verilated class is V<BENCH>. PARAMETERS (Name=value ...) are set in the RTL and given to
# the bench as macros P_Name. The program is $(BUILD)/rtl/BENCH_CONFIG/tb; it takes the seed as its argument.
RTL_SEED ?= 1
RTL_VERILATE := verilator -Wall --cc --exe --build -O3 --x-assign fast --x-initial fast --noassert
RTL_TB :=
define rtl_bench
RTL_TB += $(BUILD)/rtl/$(1)_$(2)/tb
$(BUILD)/rtl/$(1)_$(2)/tb: tests/rtl/$(1).cpp tests/rtl/tb_util.hpp $(4) $(5)
	@mkdir -p $$(@D); $$(if $$(Q),echo "VERILATE $(1) $(2)")
	$$(Q)OBJCACHE=$$(if $$(findstring ccache,$$(CC)),ccache) $$(RTL_VERILATE) --top-module $(or $(TOP_$(1)),$(1:tb_%=%)) --prefix V$(1) --Mdir $$(@D) -o tb \
	  $(addprefix -G,$(3)) -CFLAGS "-O2 -Wall -I$$(CURDIR)/tests/rtl -I$$(CURDIR)/sw -I$$(CURDIR)/sim -I$$(CURDIR)/hw/gen $(addprefix -DP_,$(3))" \
	  $(4) $$(CURDIR)/tests/rtl/$(1).cpp $(abspath $(5)) > $$(@D)/log 2>&1 || { tail -30 $$(@D)/log; exit 1; }
	@touch $$@
endef

rtl: ## benches of the RTL units (RTL_SEED=)
	@$(SUB) $(RTL_TB)
	$(Q)bad=0; for t in $(RTL_TB); do timeout 600 $$t $(RTL_SEED) || { bad=1; echo "FAILED $$t $(RTL_SEED)"; }; done; exit $$bad
.PHONY: rtl
TEST_TARGETS += rtl

RTL_ARRAY := rtl/array/espl_pe2.sv rtl/array/espl_array_feed.sv rtl/array/espl_array.sv
RTL_COMPUTE := hw/gen/espl_pkg.sv rtl/common/espl_hold.sv rtl/common/espl_sdp_ram.sv rtl/common/espl_beatbuf.sv $(RTL_ARRAY) rtl/array/espl_acc.sv \
  $(addprefix rtl/compute/espl_,cmdseq.sv wseq_place.sv wseq.sv pseq_dw.sv pseq.sv codebook.sv weights_window.sv weights.sv compute_act.sv compute_data.sv compute.sv)
$(eval $(call rtl_bench,tb_espl_array,4x4,Rows=4 Cols=4 MulStages=1,$(RTL_ARRAY)))
$(eval $(call rtl_bench,tb_espl_array,2x8,Rows=2 Cols=8 MulStages=1,$(RTL_ARRAY)))
$(eval $(call rtl_bench,tb_espl_array,16x4,Rows=16 Cols=4 MulStages=2,$(RTL_ARRAY)))
$(eval $(call rtl_bench,tb_espl_array,4x4_int4,Rows=4 Cols=4 WBits=4 MulStages=2,$(RTL_ARRAY)))
$(eval $(call rtl_bench,tb_espl_compute,2x2,Rows=2 Cols=2 BusBytes=4 ActAw=8 DwBanks=0 WgtAw=8 IdxAw=4 AccAw=4 AccBanks=2 AccW=24 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,4x4,Rows=4 Cols=4 BusBytes=4 ActAw=9 DwBanks=2 WgtAw=9 IdxAw=0 AccAw=5 AccBanks=2 AccW=32 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,8x8,Rows=8 Cols=8 BusBytes=16 ActAw=10 DwBanks=4 Fold=1 WgtAw=12 IdxAw=6 AccAw=6 AccBanks=2 AccW=32 MulStages=2,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,16x16_fold,Rows=16 Cols=16 BusBytes=16 ActAw=11 DwBanks=2 Fold=1 WgtAw=12 IdxAw=5 AccAw=6 AccBanks=2 AccW=32 WInt4=1 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,8x16,Rows=8 Cols=16 BusBytes=4 ActAw=10 DwBanks=3 WgtAw=12 IdxAw=5 AccAw=5 AccBanks=1 AccW=24 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,16x8,Rows=16 Cols=8 BusBytes=32 ActAw=10 DwBanks=3 WgtAw=12 IdxAw=5 AccAw=5 AccBanks=2 AccW=32 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,16x4,Rows=16 Cols=4 BusBytes=8 ActAw=9 DwBanks=1 WgtAw=11 IdxAw=5 AccAw=5 AccBanks=2 AccW=32 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,w4,Rows=8 Cols=4 BusBytes=4 ActAw=10 DwBanks=0 WgtAw=11 IdxAw=4 AccAw=6 AccBanks=2 AccW=32 WBits=4 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,int4,Rows=4 Cols=8 BusBytes=16 ActAw=10 DwBanks=3 WgtAw=11 IdxAw=0 AccAw=6 AccBanks=2 AccW=32 WInt4=1 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,book3,Rows=4 Cols=4 BusBytes=8 ActAw=10 DwBanks=3 WgtAw=11 IdxAw=4 AccAw=6 AccBanks=2 AccW=32 WInt4=1 WBook=3 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,book8,Rows=4 Cols=16 BusBytes=4 ActAw=10 DwBanks=1 WgtAw=12 IdxAw=5 AccAw=6 AccBanks=2 AccW=32 WInt4=1 WBook=8 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))
$(eval $(call rtl_bench,tb_espl_compute,book5,Rows=2 Cols=2 BusBytes=32 ActAw=10 DwBanks=0 WgtAw=9 IdxAw=4 AccAw=6 AccBanks=2 AccW=32 WBook=5 MulStages=1,$(RTL_COMPUTE),$(BUILD)/sim/timing/compute.o))

RTL_REQUANT := rtl/common/espl_hold.sv rtl/store/espl_satshift.sv $(addprefix rtl/store/espl_requant,_pipe.sv _serial.sv .sv)
RTL_STORE := hw/gen/espl_pkg.sv rtl/common/espl_sdp_ram.sv rtl/common/espl_beatbuf.sv $(RTL_REQUANT) \
  $(addprefix rtl/store/espl_,parbuf.sv lanes.sv window.sv drain.sv residual.sv stage.sv store_cfg.sv store_ctrl.sv store_one.sv store.sv)
RTL_STORE_TWIN := $(addprefix $(BUILD)/sim/timing/,store.o memtime.o)
$(eval $(call rtl_bench,tb_espl_requant,pipe,RqCycles=1 Residual=1 MulStages=1,$(RTL_REQUANT)))
$(eval $(call rtl_bench,tb_espl_requant,pipe_two,RqCycles=1 Residual=1 MulStages=2,$(RTL_REQUANT)))
$(eval $(call rtl_bench,tb_espl_requant,serial,RqCycles=18 Residual=1 MulStages=1,$(RTL_REQUANT)))
$(eval $(call rtl_bench,tb_espl_requant,plain,RqCycles=18 Residual=0 MulStages=1,$(RTL_REQUANT)))
$(eval $(call rtl_bench,tb_espl_store,g8,Rows=8 Cols=16 BusBytes=16 RqLanes=4 RqCycles=1 MulStages=2 AccW=32 ParAw=6 AccAw=7 StageBursts=4 ResBursts=4 Residual=1 MaxPool=1 AvgPool=1,$(RTL_STORE),$(RTL_STORE_TWIN)))
$(eval $(call rtl_bench,tb_espl_store,g2_serial,Rows=2 Cols=8 BusBytes=32 RqLanes=1 RqCycles=18 MulStages=1 AccW=24 ParAw=4 AccAw=5 StageBursts=3 ResBursts=5 Residual=1 MaxPool=1 AvgPool=1,$(RTL_STORE),$(RTL_STORE_TWIN)))
$(eval $(call rtl_bench,tb_espl_store,g4,Rows=4 Cols=16 BusBytes=4 RqLanes=2 RqCycles=1 MulStages=1 AccW=24 ParAw=6 AccAw=6 StageBursts=2 ResBursts=2 Residual=1 MaxPool=0 AvgPool=1,$(RTL_STORE),$(RTL_STORE_TWIN)))
$(eval $(call rtl_bench,tb_espl_store,g16,Rows=32 Cols=32 BusBytes=8 RqLanes=16 RqCycles=1 MulStages=1 AccW=32 ParAw=7 AccAw=8 StageBursts=8 ResBursts=3 Residual=1 MaxPool=1 AvgPool=0,$(RTL_STORE),$(RTL_STORE_TWIN)))
$(eval $(call rtl_bench,tb_espl_store,g4_plain,Rows=4 Cols=4 BusBytes=32 RqLanes=4 RqCycles=18 MulStages=1 AccW=24 ParAw=3 AccAw=6 StageBursts=4 ResBursts=4 Residual=0 MaxPool=0 AvgPool=0,$(RTL_STORE),$(RTL_STORE_TWIN)))

RTL_LOAD := hw/gen/espl_pkg.sv rtl/common/espl_hold.sv rtl/common/espl_fifo.sv rtl/tokens/espl_tokens.sv $(addprefix rtl/port/espl_port,_rd.sv _wr.sv .sv) \
  $(addprefix rtl/load/espl_load,_walk.sv _beat.sv .sv) tests/rtl/tb_espl_load_top.sv
RTL_LOAD_TWIN := $(addprefix $(BUILD)/sim/timing/,port.o load.o memtime.o)
TOP_tb_espl_load := tb_espl_load_top
$(eval $(call rtl_bench,tb_espl_load,2x2,Rows=2 Cols=2 BusBytes=32,$(RTL_LOAD),$(RTL_LOAD_TWIN)))
$(eval $(call rtl_bench,tb_espl_load,4x4,Rows=4 Cols=4 BusBytes=4,$(RTL_LOAD),$(RTL_LOAD_TWIN)))
$(eval $(call rtl_bench,tb_espl_load,16x8,Rows=16 Cols=8 BusBytes=8,$(RTL_LOAD),$(RTL_LOAD_TWIN)))
$(eval $(call rtl_bench,tb_espl_load,32x16,Rows=32 Cols=16 BusBytes=16,$(RTL_LOAD),$(RTL_LOAD_TWIN)))
$(eval $(call rtl_bench,tb_espl_load,2x2_book,Rows=2 Cols=2 BusBytes=32 WBook=8,$(RTL_LOAD),$(RTL_LOAD_TWIN)))
$(eval $(call rtl_bench,tb_espl_load,4x4_book,Rows=4 Cols=4 BusBytes=16 WBook=7,$(RTL_LOAD),$(RTL_LOAD_TWIN)))
$(eval $(call rtl_bench,tb_espl_load,8x16_book,Rows=8 Cols=16 BusBytes=4 WBook=6,$(RTL_LOAD),$(RTL_LOAD_TWIN)))
TOP_tb_espl_decode := tb_espl_decode_top
$(eval $(call rtl_bench,tb_espl_decode,all,,hw/gen/espl_pkg.sv tests/rtl/tb_espl_decode_top.sv))

RTL_AXI := $(shell cat rtl/rtl.f) $(addprefix rtl/axi/espl_,axi_lite.sv axi_master.sv core_axi.sv)
TOP_tb_espl_core_axi := espl_core_axi
RTL_AXI_SMALL := Rows=4 Cols=4 ActAw=8 WgtAw=10 IdxAw=4 ParAw=4 AccAw=7 RqLanes=4
$(eval $(call rtl_bench,tb_espl_core_axi,b4,BusBytes=4 $(RTL_AXI_SMALL),$(RTL_AXI)))
$(eval $(call rtl_bench,tb_espl_core_axi,b16,BusBytes=16 $(RTL_AXI_SMALL),$(RTL_AXI)))

RTL_BRIDGE := hw/gen/espl_pkg.sv $(addprefix rtl/board/espl_,uart.sv bridge.sv)
$(eval $(call rtl_bench,tb_espl_bridge,d8,ClkDiv=8 GapW=6 MemAw=10,$(RTL_BRIDGE)))
$(eval $(call rtl_bench,tb_espl_bridge,d25,ClkDiv=25 GapW=6 MemAw=13,$(RTL_BRIDGE)))
RTL_BOARD_MEM := rtl/common/espl_sdp_ram.sv rtl/common/espl_fifo.sv $(addprefix rtl/board/espl_,sp_ram.sv board_burst.sv board_mem.sv)
RTL_BOARD_LAW := $(BUILD)/sim/timing/memtime.o
$(eval $(call rtl_bench,tb_espl_board_mem,two_ports,BusBytes=8 MemAw=13 ReadLat=3 Shared=0 Outstanding=4,$(RTL_BOARD_MEM),$(RTL_BOARD_LAW)))
$(eval $(call rtl_bench,tb_espl_board_mem,one_port,BusBytes=4 MemAw=13 ReadLat=2 Shared=1 Outstanding=2,$(RTL_BOARD_MEM),$(RTL_BOARD_LAW)))
$(eval $(call rtl_bench,tb_espl_board_mem,one_port_reg,BusBytes=4 MemAw=12 ReadLat=3 Shared=1 Outstanding=1,$(RTL_BOARD_MEM),$(RTL_BOARD_LAW)))
