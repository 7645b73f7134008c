# Espalier. Bare `make` prints the targets; `make run` and `make test` set up the machine, build, and do their job.
#
# Knobs: BUILD=folder (default build)   V=1 show commands   SAN=1 address and undefined-behaviour sanitizers   JOBS=n
#        OUT=folder for results (default out)   DB=store (default $(OUT)/espalier.db)   MACHINE=name or file
#        run:    DATA=folder NETWORK=net.onnx MEAN=a,b,c STD=a,b,c FAST=1 (loads a trained network)
#        sweep, steer:  STUDY=file     synth, bitstream:  BOARD=name
#        test:   TESTS="unit cli" runs only these groups   LANES=n groups at a time (default 2)
#
# Fragments beside the code (*.mk below) add their own targets and append to:
#   TEST_TARGETS   targets that `make test` runs, one group each, LANES (2) at a time
#   TEST_NEEDS     files that several of these groups build: made before the first group starts
#   RUN_NEEDS      targets that `make run` builds besides the command (the Verilated platform, for example)
#   BENCH_TARGETS  targets of `make bench`
BUILD ?= build
OUT ?= out
DB ?= $(OUT)/espalier.db
V ?= 0
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
Q := $(if $(filter 1,$(V)),,@)
CC := $(if $(shell command -v ccache 2>/dev/null),ccache )gcc
.DEFAULT_GOAL := help
export BUILD
# OpenMP threads of tests and jobs wait without spinning: other processes may want the processors.
export GOMP_SPINCOUNT ?= 1000

# -Wno-sign-conversion: index arithmetic on int32 shapes would need a cast in every subscript.
WARN := -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow -Wmissing-prototypes -Werror
# -ffp-contract=off: the same float results whether or not the processor has fused multiply-add.
CFLAGS := -std=c11 -D_GNU_SOURCE -O2 -g -march=native -ffp-contract=off $(WARN)
CPPFLAGS := -Isw -Isim -Ihw/gen -I$(BUILD)/gen
LDLIBS := -ldnnl -lgomp -lprotobuf-c -lyaml -lsqlite3 -lpng -ljpeg -lz -llzma -lpthread -lm
ifeq ($(SAN),1)
CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -O1 -g1
LDFLAGS += -fsanitize=address,undefined
endif

LIB_SRC := $(wildcard $(addsuffix /*.c,$(addprefix sw/,base tensor graph tflite onnx data nn quant compress map steer store report)) $(addsuffix /*.c,$(addprefix sim/,model timing cost device)))
CLI_SRC := $(wildcard sw/cli/*.c)
GEN_OBJ := $(BUILD)/gen/onnx.pb-c.o
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o) $(GEN_OBJ)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
TEST_TARGETS := checks check-gen lint unit cli
SUB := $(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS))

.PHONY: help setup test-needs lib build unit sanitize cli checks check-pairs gen check-gen lint test run sweep steer report rtl-sim bench clean FORCE

help: ## this list
	@echo "Espalier: smaller networks for a systolic array, their exact cycles, and the proof."
	@grep -hE '^[a-z0-9-]+:.*## ' $(filter-out %.d,$(MAKEFILE_LIST)) | sed -E 's/:[^#]*## /\t/' | expand -t 16 | sed 's/^/  /'
	@echo "Knobs are at the top of the Makefile."

setup: ## install the Debian packages that are missing
	@scripts/setup

run: ## the main job: compress, quantize, simulate, steer, report (DATA= NETWORK= MEAN= STD= FAST=1)
	@scripts/setup
	@$(SUB) build $(RUN_NEEDS)
	$(Q)mkdir -p $(OUT)
	$(Q)$(BUILD)/espalier demo --db $(DB) --out $(OUT) $(if $(DATA),--data '$(DATA)') $(if $(NETWORK),--network '$(NETWORK)') \
	  $(if $(MEAN),--mean '$(MEAN)') $(if $(STD),--std '$(STD)') $(if $(MACHINE),--machine '$(MACHINE)') $(if $(filter 1,$(FAST)),--fast)

test: ## set up, build and run every test group; the last line counts
	@scripts/setup
	@MAKE='$(MAKE)' scripts/run-tests -l $(or $(LANES),2) $(if $(filter 1,$(V)),-v) $(or $(TESTS),$(TEST_TARGETS))
test-needs:
	@$(SUB) $(BUILD)/espalier $(TEST_NEEDS)

# --- building -----------------------------------------------------------------------------------------------------
# Objects depend on the flags they are built with, not on the whole Makefile.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS)' > $@

$(BUILD)/gen/onnx.pb-c.c $(BUILD)/gen/onnx.pb-c.h &: /usr/include/onnx/onnx.proto
	@mkdir -p $(@D)
	$(Q)protoc-c -I/usr/include/onnx --c_out=$(BUILD)/gen onnx.proto
$(BUILD)/gen/onnx.pb-c.o: $(BUILD)/gen/onnx.pb-c.c
	$(Q)$(CC) -O2 -I$(BUILD)/gen -c $< -o $@
$(filter $(BUILD)/sw/onnx/%,$(LIB_OBJ)): | $(BUILD)/gen/onnx.pb-c.h
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D); $(if $(Q),echo "CC $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
# The loops of sw/nn run on the threads that oneDNN uses.
$(filter $(BUILD)/sw/nn/%,$(LIB_OBJ)): CFLAGS += -fopenmp
$(BUILD)/libespl.a: $(LIB_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^
$(BUILD)/espalier: $(CLI_OBJ) $(BUILD)/libespl.a
	@$(if $(Q),echo "LD $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libespl.a $(BUILD)/flags
	@mkdir -p $(@D); $(if $(Q),echo "CC $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP $< -o $@ $(BUILD)/libespl.a -lcriterion $(LDLIBS)
lib: $(BUILD)/libespl.a ## the C library
build: $(BUILD)/espalier ## the espalier command, at $(BUILD)/espalier

# --- tests --------------------------------------------------------------------------------------------------------
unit: ## C unit tests
	@$(SUB) $(UNIT)
	$(Q)bad=0; for t in $(UNIT); do echo "== $$t"; timeout 900 $$t || { bad=1; echo "FAILED $$t"; }; done; exit $$bad
sanitize: ## C unit tests under the address and undefined-behaviour sanitizers
	@$(SUB) BUILD=$(BUILD)-san SAN=1 unit
cli: build ## the command: exit status, messages, files
	$(Q)tests/cli/run $(BUILD)/espalier
	$(Q)tests/cli/fetch-data
checks: lib ## layers, library symbols
	$(Q)scripts/check-layers
	$(Q)scripts/check-symbols $(BUILD)/libespl.a
gen: ## regenerate hw/gen from the tables of hw/spec
	$(Q)python3 hw/spec/generate.py
check-gen: ## fail when hw/gen is not what the tables say
	$(Q)rm -rf $(BUILD)/check-gen && mkdir -p $(BUILD)/check-gen && python3 hw/spec/generate.py $(BUILD)/check-gen
	$(Q)diff -r hw/gen $(BUILD)/check-gen || { echo "check-gen: hw/gen is stale; run make gen"; exit 1; }
lint: ## Verilator's -Wall and Yosys' checks over the RTL of several machine points
	$(Q)hw/synth/lint 4x4 4x8-int4 8x16 16x16 8x4-min up5k hx8k-bram ulx3s
check-pairs: ## report: sources without a test of their own
	$(Q)scripts/check-pairs
TEST_TARGETS += sanitize

# --- the other jobs of the command --------------------------------------------------------------------------------
sweep: ## a sweep of machines and networks (STUDY= DB=)
	@scripts/setup
	@$(SUB) build
	$(Q)mkdir -p $(OUT) && $(BUILD)/espalier sweep $(or $(STUDY),$(error STUDY=file is needed)) --db $(DB)
steer: ## compression steered by exact cycles (STUDY= DB=)
	@scripts/setup
	@$(SUB) build $(RUN_NEEDS)
	$(Q)mkdir -p $(OUT) && $(BUILD)/espalier steer $(or $(STUDY),$(error STUDY=file is needed)) --db $(DB)
rtl-sim: ## a network on the Verilated RTL beside the C model (NETWORK= MACHINE= DATA= MEAN= STD=)
	@scripts/setup
	@$(SUB) build
	$(Q)$(BUILD)/espalier sim $(or $(NETWORK),models/resnet8-builtin.onnx) --machine $(or $(MACHINE),16x16) --engine both \
	  $(if $(DATA),--data '$(DATA)') $(if $(MEAN),--mean '$(MEAN)') $(if $(STD),--std '$(STD)')
report: ## HTML, CSV and JSON from a store (DB= OUT=)
	@scripts/setup
	@$(SUB) build
	$(Q)$(BUILD)/espalier report $(DB) -o $(OUT)/report

include $(wildcard tests/vectors/vectors.mk tests/torch/torch.mk tests/ort/ort.mk sim/platform/platform.mk hw/hw.mk rtl/rtl.mk tests/rtl/rtl.mk tests/formal/formal.mk tests/cosim/cosim.mk tests/networks/networks.mk tests/layers/layers.mk tests/trace/trace.mk tests/netlist/netlist.mk hw/synth/synth.mk tests/e2e/e2e.mk tests/bench/bench.mk tests/board/board.mk tests/fuzz/fuzz.mk hw/board/board.mk)

bench: $(BENCH_TARGETS) ## measurements
	@$(if $(BENCH_TARGETS),,echo "make bench: there is no measurement in this version" >&2; exit 2)

clean: ## remove everything that was built ($(BUILD), $(BUILD)-san); results in $(OUT) stay
	rm -rf $(BUILD) $(BUILD)-san

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT:=.d)
