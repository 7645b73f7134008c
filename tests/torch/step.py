#!/usr/bin/env python3
"""Trains one network by PyTorch and by espalier from the same weights on the same images, and compares every parameter afterwards.

usage: step.py ESPALIER DIR     needs the PyPI packages torch, onnx, numpy
The network holds the operators that only floating point runs: squeeze-and-excitation gates, PReLU with one slope and one a channel, hard sigmoid,
SiLU, hard swish, transposed convolution, nearest and linear resizing, products, a quotient and a difference of two values. Each of the three steps
sees all training images at once, so their order does not count: stochastic gradient descent, Nesterov momentum, weight decay on weights only, float32.
Fails where a parameter has moved otherwise by more than 1e-4 of its largest move.
"""
import pathlib
import struct
import subprocess
import sys
import warnings

import numpy
import onnx
import torch
from torch import nn
from torch.nn import functional as F

CLASSES, EACH, HELD_BACK, SIDE, STEPS = 10, 20, 2, 28, 3
RECIPE = f"""network: lenet5
preprocess: {{mean: 0.5, std: 0.25}}
train: {{epochs: {STEPS}, batch: {CLASSES * (EACH - HELD_BACK)}, lr: 0.5, momentum: 0.9, nesterov: yes, weight_decay: 0.01, warmup_epochs: 0,
        schedule: constant, augment: no, flip: no, dtype: float32}}
"""


class Gate(nn.Module):
    def __init__(self, channels, squeezed):
        super().__init__()
        self.down, self.slope, self.up = nn.Conv2d(channels, squeezed, 1), nn.PReLU(squeezed), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.up(self.slope(self.down(x.mean((2, 3), keepdim=True)))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1, self.p1 = nn.Conv2d(1, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.PReLU(12)
        self.c2, self.b2, self.p2, self.g2 = nn.Conv2d(12, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.PReLU(), Gate(24, 6)
        self.c3, self.b3 = nn.Conv2d(24, 32, 3, 2, 0, bias=False), nn.BatchNorm2d(32)
        self.up = nn.ConvTranspose2d(32, 24, 3, 2, 0, groups=2)
        self.c4, self.c5, self.fc = nn.Conv2d(24, 16, 1), nn.Conv2d(12, 1, 1), nn.Linear(40, CLASSES)

    def forward(self, x):
        a = self.p1(self.b1(self.c1(x)))
        b = self.g2(self.p2(self.b2(self.c2(a))))
        c = F.silu(self.b3(self.c3(b)))
        d = self.c4(self.up(c) - b)
        e = F.interpolate(d, scale_factor=2, mode="bilinear", align_corners=False) / torch.sigmoid(self.c5(a))
        f = torch.cat([F.hardswish(e), F.interpolate(b, scale_factor=2, mode="nearest")], 1)
        return self.fc(f.mean((2, 3)))


def make_data(folder):
    """Random pictures with a trace of their class, as IDX files. Returns those that are trained with: the last of each class are held back."""
    rng = numpy.random.default_rng(4)
    labels = numpy.tile(numpy.arange(CLASSES, dtype=numpy.uint8), EACH)
    pictures = rng.integers(0, 160, (len(labels), SIDE, SIDE)).astype(numpy.uint8)
    for i, label in enumerate(labels):
        pictures[i, 2 * label : 2 * label + 8] += 90
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, len(labels), SIDE, SIDE) + pictures.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())
    trained = CLASSES * (EACH - HELD_BACK)
    return torch.tensor((pictures[:trained, None] / 255.0 - 0.5) / 0.25, dtype=torch.float32), torch.tensor(labels[:trained].astype(numpy.int64))


def by_torch(net, images, labels):
    decays = lambda p: p.dim() > 1
    groups = [{"params": [p for p in net.parameters() if decays(p)], "weight_decay": 0.01}, {"params": [p for p in net.parameters() if not decays(p)]}]
    opt = torch.optim.SGD(groups, lr=0.5, momentum=0.9, nesterov=True)
    for _ in range(STEPS):
        opt.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        opt.step()
    return loss.item()


def main():
    espalier, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(3)
    net = Net().eval()
    images, labels = make_data(out)
    (out / "step.yaml").write_text(RECIPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (images[:1],), str(out / "step.onnx"), dynamo=False, opset_version=17, verbose=False, do_constant_folding=False,
                          training=torch.onnx.TrainingMode.PRESERVE, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
    net.train()
    before = {k: v.detach().numpy().copy() for k, v in net.named_parameters()}
    subprocess.run([espalier, "train", str(out / "step.yaml"), "--network", str(out / "step.onnx"), "--data", str(out), "-o", str(out / "stepped.onnx")], check=True)
    print(f"PyTorch {torch.__version__}: loss of the last step {by_torch(net, images, labels):.4f}")
    written = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(out / "stepped.onnx").graph.initializer}
    worst = (0.0, "")
    for name, p in net.named_parameters():
        folded = "/" + name.rsplit(".", 1)[0].replace(".", "/") + "/Unsqueeze_output_0"  # a slope, as the exporter spreads it over H and W
        got, want, was = written[name if name in written else folded].ravel(), p.detach().numpy().ravel(), before[name].ravel()
        worst = max(worst, (float(abs(got - want).max() / abs(want - was).max()), name))
    print(f"{len(before)} parameters after {STEPS} steps: furthest from PyTorch is {worst[1]}, by {worst[0]:.1e} of its largest move")
    sys.exit(0 if worst[0] <= 1e-4 else 1)


if __name__ == "__main__":
    main()
