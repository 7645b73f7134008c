# Readers under libFuzzer with the address and undefined-behaviour sanitizers (clang 14, installed by
# this target alone). Not part of `make test`.
.PHONY: fuzz fuzz-build
FUZZ ?= onnx tensor tflite csv yaml image
FUZZ_SECONDS ?= 60
FUZZ_DIR := $(BUILD)/fuzz
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined
fuzz: ## readers under libFuzzer (FUZZ="onnx yaml" FUZZ_SECONDS=60 each); what it finds stays in $(BUILD)/fuzz/found
	@scripts/setup clang-14 libclang-rt-14-dev libomp-14-dev
	@$(SUB) BUILD=$(FUZZ_DIR) CC='$(if $(shell command -v ccache),ccache )clang-14' CFLAGS='-std=c11 -D_GNU_SOURCE -O1 -g -w -fsanitize=fuzzer-no-link $(FUZZ_SAN)' fuzz-build
	$(Q)tests/fuzz/seeds $(FUZZ_DIR)/corpus
	$(Q)tests/fuzz/run $(FUZZ_DIR) $(FUZZ_SECONDS) $(FUZZ)
# inside the instrumented build: BUILD is its folder
fuzz-build: $(FUZZ:%=$(BUILD)/fuzz_%)
$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.c $(BUILD)/sw/cli/npy.o $(BUILD)/libespl.a
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)
