# Traces of a window of cycles, read back with the FST reader that comes with Verilator.
.PHONY: trace
TEST_TARGETS += trace
FST_READER := $(shell verilator --getenv VERILATOR_ROOT 2>/dev/null)/include/gtkwave
TRACE_OBJ := $(addprefix $(BUILD)/tests/cosim/progen,.o _bad.o _job.o _plan.o)
$(BUILD)/tests/trace/fst.o: $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)for f in fstapi fastlz lz4; do gcc -O1 -w -DFST_CONFIG_INCLUDE='"fst_config.h"' -I$(FST_READER) -c $(FST_READER)/$$f.c -o $(@D)/$$f.part.o || exit 1; done
	$(Q)ld -r -o $@ $(@D)/*.part.o
$(BUILD)/tests/trace/window: tests/trace/window.c $(TRACE_OBJ) $(BUILD)/tests/trace/fst.o $(BUILD)/libespl.a
	$(Q)$(CC) $(CPPFLAGS) -Itests/cosim -isystem $(FST_READER) $(CFLAGS) $(LDFLAGS) $< -o $@ $(TRACE_OBJ) $(BUILD)/tests/trace/fst.o $(BUILD)/libespl.a $(LDLIBS)
trace: ## a trace holds exactly the cycles asked for
	@$(SUB) $(BUILD)/tests/trace/window
	$(Q)cd $(BUILD)/tests/trace && ESPL_ROOT='$(CURDIR)' ./window
