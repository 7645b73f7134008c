# Measurements: training, evaluation, the timing engine, the SystemC platform.
BENCH_TARGETS += bench-figures
.PHONY: bench-figures
$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libespl.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $< -o $@ $(BUILD)/libespl.a $(LDLIBS)
bench-figures: build $(BUILD)/bench/bench $(BUILD)/bench/choice $(BUILD)/bench/infer $(BUILD)/bench/large $(BUILD)/bench/train
	$(Q)tests/bench/run $(BUILD)
