# Networks exported by PyTorch, on request only: PyTorch is large and comes from PyPI.
.PHONY: torch
torch: build ## torchvision networks exported by PyTorch 2 against its own output, training steps against its own (PYTHON= with torch, torchvision, onnxscript)
	$(Q)tests/torch/run $(BUILD)/espalier $(or $(PYTHON),$(error PYTHON= is needed: an interpreter with torch, torchvision, onnx, onnxscript and numpy)) $(OUT)/torch
