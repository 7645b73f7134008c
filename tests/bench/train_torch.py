"""Whole training steps beside PyTorch's, in turns in one run: forward, loss, backward, SGD with Nesterov momentum and weight decay on weights,
on one batch that lies in memory, no loading or augmentation on either side. PyTorch: channels_last, the better of eager and torch.compile,
bfloat16 by autocast; fused SGD. Networks of the same layers and sizes (the numbers of trained parameters are compared).

usage: train_torch.py BUILD/bench/train [--networks A,B] [--types f32,bf16] [--turns N] [--clock wall|cpu] [--no-compile] [--batch N]
--clock cpu counts processor time instead of wall time: for one thread on a machine that others use too.
Writes one line a network and type, tab-separated: name, value, unit, note."""
import argparse
import os
import statistics
import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10


def conv_bn(i, o, k, stride=1, groups=1, act=None):
    layers = [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*(layers + ([act()] if act else [])))


class Residual(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.first = conv_bn(i, o, 3, stride, act=nn.ReLU)
        self.second = conv_bn(o, o, 3)
        self.side = conv_bn(i, o, 1, stride) if stride != 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.second(self.first(x)) + self.side(x))


class Inverted(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(conv_bn(i, 6 * i, 1, act=nn.ReLU6), conv_bn(6 * i, 6 * i, 3, stride, 6 * i, nn.ReLU6), conv_bn(6 * i, o, 1))
        self.residual = stride == 1 and i == o

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


def head(channels):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


def resnet20():
    layers, i = [conv_bn(3, 16, 3, act=nn.ReLU)], 16
    for o in (16, 32, 64):
        for k in range(3):
            layers.append(Residual(i, o, 2 if o > 16 and k == 0 else 1))
            i = o
    return nn.Sequential(*layers, *head(64))


def vgg_small():
    layers, i = [], 3
    for k, o in enumerate((64, 64, 128, 128, 256, 256)):
        layers.append(conv_bn(i, o, 3, act=nn.ReLU))
        i = o
        if k % 2:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 4 * 4, CLASSES))


def mobilenetv2_small():
    layers, i = [conv_bn(3, 16, 3, act=nn.ReLU6)], 16
    for o, stride in ((16, 1), (24, 2), (24, 1), (40, 2), (40, 1), (64, 1), (64, 1)):
        layers.append(Inverted(i, o, stride))
        i = o
    return nn.Sequential(*layers, conv_bn(64, 128, 1, act=nn.ReLU6), *head(128))


NETWORKS = {"mobilenetv2-small": mobilenetv2_small, "resnet20": resnet20, "vgg-small": vgg_small}


class Torch:
    """A PyTorch training job; `steps(n)` gives wall and processor seconds."""

    def __init__(self, network, bf16, batch, compiled):
        torch.manual_seed(1)
        model = NETWORKS[network]().to(memory_format=torch.channels_last)
        self.parameters = sum(p.numel() for p in model.parameters())
        decayed = [p for p in model.parameters() if p.dim() > 1]
        other = [p for p in model.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.SGD([{"params": decayed, "weight_decay": 5e-4}, {"params": other, "weight_decay": 0.0}],
                                         lr=0.01, momentum=0.9, nesterov=True, fused=True)
        self.model = torch.compile(model) if compiled else model
        self.bf16 = bf16
        self.images = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
        self.labels = torch.randint(0, CLASSES, (batch,))

    def one_step(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            loss = F.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def steps(self, n):
        wall, cpu = time.monotonic(), time.process_time()
        for _ in range(n):
            loss = self.one_step()
        loss.item()
        return time.monotonic() - wall, time.process_time() - cpu


class Ours:
    def __init__(self, program, network, bf16, batch):
        self.process = subprocess.Popen([program, network, "bf16" if bf16 else "f32", str(batch)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split(None, 2)
        if len(words) < 3:
            raise RuntimeError(f"{program} {network} failed")
        self.parameters, self.reorders, self.library = int(words[0]), int(words[1]), words[2].strip()

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def steps(self, n):
        self.ask(f"steps {n}")
        return tuple(float(w) for w in self.process.stdout.readline().split())

    def profile(self, n):
        self.ask(f"profile {n}")
        rows = [self.process.stdout.readline().split(None, 2) for _ in range(int(self.process.stdout.readline()))]
        return [(float(ms), int(calls), what.strip()) for ms, calls, what in rows]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def onednn():
    for line in torch.__config__.show().splitlines():
        if "MKL-DNN" in line:
            return "oneDNN " + line.split("v", 1)[1].split()[0]
    return "no oneDNN"


def jobs(a, network, bf16):
    made = {"ours": Ours(a.program, network, bf16, a.batch), "eager": Torch(network, bf16, a.batch, False)}
    if made["ours"].parameters != made["eager"].parameters:
        raise RuntimeError(f"{network}: {made['ours'].parameters} parameters, PyTorch's has {made['eager'].parameters}")
    if not a.no_compile:
        made["compile"] = Torch(network, bf16, a.batch, True)
        try:
            made["compile"].steps(1)
        except Exception as e:  # no compiler or no headers: measured without
            print(f"torch.compile does not run here: {str(e).splitlines()[0]}", file=sys.stderr)
            del made["compile"]
    return made


def measure(a, network, bf16):
    made, seen = jobs(a, network, bf16), {}
    for job in made.values():
        job.steps(2)
    for turn in range(a.turns):
        for name, job in made.items():
            seen.setdefault(name, []).append(a.batch * a.steps / job.steps(a.steps)[a.clock == "cpu"])
    best = {name: max(v) for name, v in seen.items()}
    middle = {name: statistics.median(v) for name, v in seen.items()}
    way = max((n for n in best if n != "ours"), key=best.get)
    name = f"{network}, {'bfloat16' if bf16 else 'float32'}"
    print(f"training {name}\t{best['ours']:.0f}\timages/s\tmedian {middle['ours']:.0f}; PyTorch "
          + ", ".join(f"{n} {best[n]:.0f} (median {middle[n]:.0f})" for n in best if n != "ours")
          + f"; ratio {best['ours'] / best[way]:.2f} (medians {middle['ours'] / middle[way]:.2f})", flush=True)
    if a.profile:
        for ms, calls, what in made["ours"].profile(a.steps):
            print(f"  {ms:9.3f} ms  {calls:3d} x  {what}", flush=True)
    made["ours"].close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--networks", default=",".join(NETWORKS))
    p.add_argument("--types", default="f32,bf16")
    p.add_argument("--turns", type=int, default=5)
    p.add_argument("--steps", type=int, default=4)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    p.add_argument("--no-compile", action="store_true")
    p.add_argument("--profile", action="store_true")
    a = p.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    print(f"# PyTorch {torch.__version__} with {onednn()}, {threads} thread{'s' if threads > 1 else ''}, {a.clock} time, batch {a.batch}", file=sys.stderr)
    for network in a.networks.split(","):
        for kind in a.types.split(","):
            measure(a, network, kind == "bf16")
    return 0


sys.exit(main())
