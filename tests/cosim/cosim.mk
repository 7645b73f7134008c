# Random programs on the C model and on the Verilated core. Knobs: SEED=n (default: from the clock, printed), PROGRAMS=n a machine.
COSIM_SRC := $(filter-out %_test.c,$(wildcard tests/cosim/*.c))
COSIM_OBJ := $(COSIM_SRC:%.c=$(BUILD)/%.o)
COSIM_MACHINES := 4x4 8x8 8x16 16x16 8x4-min
SEED ?= $(shell date +%s)
TEST_TARGETS += cosim mutations
.PHONY: cosim cosim-long mutations

$(BUILD)/tests/cosim/%.o: CPPFLAGS += -Itests/cosim
$(BUILD)/cosim: $(COSIM_OBJ) $(BUILD)/libespl.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
-include $(COSIM_OBJ:.o=.d)

cosim: ## 350 random programs: C model and Verilated core agree (SEED= PROGRAMS=)
	@$(SUB) $(BUILD)/cosim
	$(Q)cd $(BUILD) && ESPL_ROOT='$(CURDIR)' ./cosim --seed $(SEED) --programs $(or $(PROGRAMS),70) $(addprefix --machine ,$(COSIM_MACHINES)) --coverage --quiet
mutations: ## three wrong cores (chosen by SEED=) must be found by the random programs
	@$(SUB) $(BUILD)/cosim
	$(Q)scripts/mutate --cosim $(BUILD)/cosim --seed $(SEED) --count 3
cosim-long: ## 5,000 random programs a machine, 32x32 too, and every wrong core
	@$(SUB) $(BUILD)/cosim
	$(Q)cd $(BUILD) && ESPL_ROOT='$(CURDIR)' ./cosim --seed $(SEED) --programs $(or $(PROGRAMS),5000) $(addprefix --machine ,$(COSIM_MACHINES) 32x32) --coverage --quiet
	$(Q)scripts/mutate --cosim $(BUILD)/cosim --seed $(SEED)
