# Random small networks from an ONNX file to the Verilated cores that `make cosim` has built. Knobs: SEED=n (cosim.mk), ONLY=n.
.PHONY: layers
TEST_TARGETS += layers
LAYERS_OBJ := $(addprefix $(BUILD)/tests/layers/,layers.o randnet.o)
LAYERS_MACHINES := 4x4:40 up5k:8 8x4-min:8 4x16-odd:16 8x8:24 16x16:48
$(BUILD)/tests/layers/layers: $(LAYERS_OBJ) $(BUILD)/libespl.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
-include $(LAYERS_OBJ:.o=.d)
layers: ## random networks with every feature of the mapper, from ONNX to RTL (SEED= LAYERS_MACHINES="NAME:NETWORKS ...")
	@$(SUB) $(BUILD)/tests/layers/layers
	$(Q)cd $(BUILD) && ESPL_ROOT='$(CURDIR)' tests/layers/layers --seed $(TEST_SEED) $(if $(ONLY),--only $(ONLY)) $(LAYERS_MACHINES)
