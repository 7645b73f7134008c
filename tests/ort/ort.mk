# Our integers beside ONNX Runtime's on the file that `quantize` writes, on request only: ONNX Runtime comes from PyPI.
.PHONY: ort
ort: build ## int8 logits by the machine's rule against ONNX Runtime's on one quantized file (PYTHON= with numpy, onnxruntime; NETWORK= DATA= MEAN= STD=)
	$(Q)tests/ort/run $(BUILD)/espalier $(or $(PYTHON),$(error PYTHON= is needed: an interpreter with numpy and onnxruntime)) $(or $(NETWORK),models/resnet8-cifar10.onnx) \
	  '$(DATA)' $(if $(MEAN),--mean '$(MEAN)') $(if $(STD),--std '$(STD)')
