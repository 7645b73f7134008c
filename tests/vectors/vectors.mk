# ONNX's own test vectors: Debian's libonnx-testdata (operator sets up to 17), and on request those of a newer ONNX.
TEST_TARGETS += vectors
.PHONY: vectors vectors-opset21
ONNX_TESTDATA := /usr/share/libonnx-testdata/data
$(BUILD)/tests/vectors: tests/vectors/vectors.c $(BUILD)/libespl.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $< -o $@ $(BUILD)/libespl.a $(LDLIBS)
vectors: ## ONNX's test vectors through the evaluations of this project
	@$(SUB) $(BUILD)/tests/vectors
	$(Q)$(BUILD)/tests/vectors tests/vectors/skips.txt $(addprefix $(ONNX_TESTDATA)/,node simple pytorch-operator pytorch-converted)
vectors-opset21: ## the same with the vectors of onnx 1.16 (ONNX_VECTORS=folder onnx/backend/test/data/node of that package)
	@$(SUB) $(BUILD)/tests/vectors
	$(Q)$(BUILD)/tests/vectors tests/vectors/skips-opset21.txt $(or $(ONNX_VECTORS),$(error ONNX_VECTORS=folder is needed))
