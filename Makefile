# Espalier: bare `make` prints the targets. Knobs: BUILD=folder V=1 (show commands) SAN=1 (address+undefined sanitizers)
BUILD ?= build
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
CC := gcc
.DEFAULT_GOAL := help

# -Wno-sign-conversion: index arithmetic on int32 shapes would need a cast in every subscript.
WARN := -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow -Wmissing-prototypes -Werror
CFLAGS := -std=c11 -D_GNU_SOURCE -O2 -g -march=native -ffp-contract=off $(WARN)
CPPFLAGS := -Isw -Isim -Ihw/gen -I$(BUILD)/gen
LDLIBS := -ldnnl -lprotobuf-c -lyaml -lsqlite3 -lz -llzma -lpthread -lm
ifeq ($(SAN),1)
CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -O1
LDFLAGS += -fsanitize=address,undefined
endif

LIB_SRC := $(wildcard $(addsuffix /*.c,$(addprefix sw/,base tensor graph onnx data nn quant compress map steer store report)) $(addsuffix /*.c,$(addprefix sim/,model timing cost device)))
CLI_SRC := $(wildcard sw/cli/*.c)
GEN_OBJ := $(BUILD)/gen/onnx.pb-c.o
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o) $(GEN_OBJ)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))

.PHONY: help lib build unit
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(BUILD)/gen/onnx.pb-c.c $(BUILD)/gen/onnx.pb-c.h &: /usr/include/onnx/onnx.proto
	@mkdir -p $(@D)
	$(Q)protoc-c -I/usr/include/onnx --c_out=$(BUILD)/gen onnx.proto
$(BUILD)/gen/onnx.pb-c.o: $(BUILD)/gen/onnx.pb-c.c
	$(Q)$(CC) -O2 -I$(BUILD)/gen -c $< -o $@
$(BUILD)/sw/onnx/%.o: | $(BUILD)/gen/onnx.pb-c.h
$(BUILD)/%.o: %.c
	@mkdir -p $(@D); $(if $(Q),echo "CC $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/libespl.a: $(LIB_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^
lib: $(BUILD)/libespl.a ## the C library
build: $(BUILD)/espalier ## the espalier command
$(BUILD)/espalier: $(CLI_OBJ) $(BUILD)/libespl.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libespl.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP $< -o $@ $(BUILD)/libespl.a -lcriterion $(LDLIBS)
unit: $(UNIT) ## C unit tests
	$(Q)for t in $(UNIT); do echo "== $$t"; $$t || exit 1; done

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT:=.d)
