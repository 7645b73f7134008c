# Random programs on the C model and on the Verilated core. Knob: SEED=n. `make test` draws from the same seed every time, so that what turns red is the
# change's doing; the long run draws from the clock and prints it.
COSIM_SRC := $(filter-out %_test.c,$(wildcard tests/cosim/*.c))
COSIM_OBJ := $(COSIM_SRC:%.c=$(BUILD)/%.o)
# Builds of `make cosim` and their programs, 2,000 in all: 4x4 to 16x16, R < C, R > C, narrow and wide buses, every option on and off.
COSIM_MACHINES := 4x4:450 up5k:350 8x4-min:350 4x16-odd:300 8x8:300 16x16:250
# 50,000 in all.
COSIM_LONG := 4x4:7000 hx8k:6000 up5k:6000 8x4-min:6000 4x16-odd:6000 8x8:3500 8x16:5000 16x16:5000 4x8-int4:3000 32x32:2000 64x64:500
TEST_SEED := $(or $(SEED),20261122)
LONG_SEED := $(or $(SEED),$(shell date +%s))
# Networks of the long run; `make layers` has the few.
LAYERS_LONG := 4x4:400 up5k:80 8x4-min:80 4x16-odd:160 8x8:240 16x16:480
TEST_TARGETS += cosim mutations
TEST_NEEDS += $(BUILD)/cosim
.PHONY: cosim cosim-long mutations

$(BUILD)/tests/cosim/%.o: CPPFLAGS += -Itests/cosim
$(BUILD)/cosim: $(COSIM_OBJ) $(BUILD)/libespl.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/shrink_test: $(BUILD)/tests/cosim/shrink_test.o $(filter-out %/cosim.o,$(COSIM_OBJ)) $(BUILD)/libespl.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
-include $(COSIM_OBJ:.o=.d)

cosim: ## 2,000 random programs, and those that once showed a fault (tests/cosim/cases): C model and Verilated core agree (SEED= COSIM_MACHINES="NAME:PROGRAMS ...")
	@$(SUB) $(BUILD)/cosim $(BUILD)/shrink_test
	$(Q)cd $(BUILD) && ESPL_ROOT='$(CURDIR)' ./shrink_test
	$(Q)for f in tests/cosim/cases/*.case; do echo "$$f"; (cd $(BUILD) && ESPL_ROOT='$(CURDIR)' ./cosim --replay '$(CURDIR)'/$$f) || exit 1; done
	$(Q)cd $(BUILD) && ESPL_ROOT='$(CURDIR)' ./cosim --seed $(TEST_SEED) $(addprefix --machine ,$(COSIM_MACHINES)) --coverage --quiet
mutations: ## three wrong cores (chosen by SEED=) must be found by the random programs, and the programs shrunk
	@$(SUB) $(BUILD)/cosim
	$(Q)scripts/mutate --cosim $(BUILD)/cosim --seed $(TEST_SEED) --count 3
cosim-long: ## 50,000 random programs, 32x32 and 64x64 too, 1,440 random networks and every wrong core (SEED=; hours)
	@$(SUB) $(BUILD)/cosim $(BUILD)/tests/layers/layers
	$(Q)cd $(BUILD) && ESPL_ROOT='$(CURDIR)' ./cosim --seed $(LONG_SEED) $(addprefix --machine ,$(COSIM_LONG)) --coverage --quiet
	$(Q)cd $(BUILD) && ESPL_ROOT='$(CURDIR)' tests/layers/layers --seed $(LONG_SEED) $(LAYERS_LONG)
	$(Q)scripts/mutate --cosim $(BUILD)/cosim --seed $(LONG_SEED)
