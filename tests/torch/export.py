#!/usr/bin/env python3
"""Writes torchvision networks with random weights as ONNX, an input and PyTorch's own output for each.

usage: export.py DIR [NAME...]     needs the PyPI packages torch, torchvision, onnx, onnxscript
Two files a network where the installed PyTorch has both exporters: NAME.onnx (torch.export, weights in NAME.onnx.data) and NAME-script.onnx
(TorchScript). Input [2,3,224,224] as NAME.input.npy, output as NAME.output.npy.
"""
import pathlib
import sys
import warnings

import numpy
import torch
import torchvision

NAMES = ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "squeezenet1_0", "vgg11"]


def randomised(name):
    """Random weights; batch-norm statistics as if from data, so that no layer is the identity."""
    torch.manual_seed(1)
    net = getattr(torchvision.models, name)(weights=None)
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(m.weight, 0.7, 1.3)
            torch.nn.init.uniform_(m.bias, -0.2, 0.2)
            torch.nn.init.uniform_(m.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(m.running_var, 0.7, 1.3)
    return net.eval()


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    print("PyTorch", torch.__version__, "torchvision", torchvision.__version__)
    for name in sys.argv[2:] or NAMES:
        net = randomised(name)
        x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            y = net(x)
        numpy.save(out / f"{name}.input.npy", x.numpy())
        numpy.save(out / f"{name}.output.npy", y.numpy())
        for suffix, options in (("", {"dynamo": True}), ("-script", {"dynamo": False, "opset_version": 17})):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    torch.onnx.export(net, (x,), str(out / f"{name}{suffix}.onnx"), verbose=False, **options)
                except Exception as e:  # an exporter that this PyTorch has not
                    print(f"{name}{suffix}: not exported: {type(e).__name__}: {e}".splitlines()[0])
                    continue
            print(f"{name}{suffix}.onnx", flush=True)


if __name__ == "__main__":
    main()
