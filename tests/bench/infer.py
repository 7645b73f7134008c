#!/usr/bin/env python3
"""Inference beside ONNX Runtime: the same networks, batches and threads, in turns, so that both meet the same machine.

usage: infer.py INFER SHARED WORK [--turns N] [--seconds S] [--clock wall|cpu] [--only TEXT]
INFER is build/bench/infer, SHARED has models/, WORK keeps unpacked and quantized files. Needs numpy, onnx and onnxruntime (scripts/bench-peers).
Loading is excluded on both sides. One tab-separated line a case: figure, our images/s, unit, note with theirs and the ratio. The ratio is that of
the best turns; a float case whose outputs differ by more than 1e-4 of the largest one is an error (exit status 1).
--clock cpu counts processor time instead of wall time: for one thread on a machine that others use as well.
"""
import argparse
import lzma
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
import onnx
import onnxruntime
from onnxruntime import quantization as oq

THREADS = int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count()
RESNET20 = ("ResNet-20", "resnet20_cifar10.onnx", (3, 32, 32))
MOBILENETV2 = ("MobileNetV2 (224)", "mobilenetv2_1.0_224_dequantised.onnx.xz", (3, 224, 224))
CASES = [("float", RESNET20, 1), ("float", RESNET20, 128), ("float", MOBILENETV2, 1), ("float", MOBILENETV2, 128),
         ("int8", RESNET20, 1), ("int8", RESNET20, 128), ("int8", MOBILENETV2, 1), ("int8", MOBILENETV2, 16)]
U8, S8 = oq.QuantType.QUInt8, oq.QuantType.QInt8
FORMATS = {"QDQ u8s8": (oq.QuantFormat.QDQ, U8), "QDQ s8s8": (oq.QuantFormat.QDQ, S8), "QOperator u8s8": (oq.QuantFormat.QOperator, U8)}


class Ours:
    def __init__(self, program, kind, model, batch, image, work):
        (work / "image.raw").write_bytes(image.tobytes())
        self.p = subprocess.Popen([program, kind, model, str(batch), work / "image.raw", work / "result.raw"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        if self.p.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{program} {kind} {model} failed")
        self.result = numpy.frombuffer((work / "result.raw").read_bytes(), numpy.float32)

    def turn(self, seconds):
        self.p.stdin.write(f"{seconds}\n")
        self.p.stdin.flush()
        images, wall, cpu = self.p.stdout.readline().split()
        return float(images), float(wall), float(cpu)

    def close(self):
        self.p.stdin.close()
        self.p.wait()


class Theirs:
    def __init__(self, model, batch, image):
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads, o.inter_op_num_threads = THREADS, 1
        self.s = onnxruntime.InferenceSession(str(model), o, providers=["CPUExecutionProvider"])
        self.batch, self.x = batch, {self.s.get_inputs()[0].name: numpy.repeat(image[None], batch, 0)}
        self.result = self.s.run(None, self.x)[0][0].ravel()

    def turn(self, seconds):
        t0, c0, images = time.perf_counter(), time.process_time(), 0
        while images == 0 or time.perf_counter() - t0 < seconds:
            self.s.run(None, self.x)
            images += self.batch
        return images, time.perf_counter() - t0, time.process_time() - c0

    def close(self):
        self.s = None


class OneImage(oq.CalibrationDataReader):
    def __init__(self, name, image):
        self.left = [{name: image[None]}]

    def get_next(self):
        return self.left.pop() if self.left else None


def unpacked(shared, work, file):
    source = shared / "models" / file
    if source.suffix != ".xz":
        return source
    out = work / source.stem
    if not out.exists():
        out.write_bytes(lzma.decompress(source.read_bytes()))
    return out


def quantized(model, work, image, label):
    out = work / f"{model.stem}.{label.replace(' ', '-')}.onnx"
    if not out.exists():
        ready = work / f"{model.stem}.ready.onnx"
        oq.quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
        form, activations = FORMATS[label]
        name = onnx.load(str(ready), load_external_data=False).graph.input[0].name
        oq.quantize_static(str(ready), str(out), OneImage(name, image), quant_format=form, activation_type=activations, weight_type=S8, per_channel=True)
    return out


def rates(turns, clock):
    r = [images / (wall if clock == "wall" else cpu) for images, wall, cpu in turns]
    return max(r), statistics.median(r)


def compare(a, kind, net, batch):
    name, file, shape = net
    image = numpy.random.default_rng(1).standard_normal(shape).astype(numpy.float32)
    model = unpacked(a.shared, a.work, file)
    ours = Ours(a.infer, kind, model, batch, image, a.work)
    peers = {"float32": Theirs(model, batch, image)} if kind == "float" else {
        label: Theirs(quantized(model, a.work, image, label), batch, image) for label in FORMATS}
    note = ""
    if kind == "float":
        want = peers["float32"].result
        apart = float(numpy.abs(ours.result - want).max() / numpy.abs(want).max())
        if not apart <= 1e-4:
            raise RuntimeError(f"{name}: outputs differ by {apart:.1e} of the largest")
        note = f", outputs {apart:.0e} apart"
    measured = {label: [] for label in ["ours", *peers]}
    for _ in range(a.turns):
        measured["ours"].append(ours.turn(a.seconds))
        for label, p in peers.items():
            measured[label].append(p.turn(a.seconds))
    best, median = rates(measured.pop("ours"), a.clock)
    theirs = {label: rates(t, a.clock) for label, t in measured.items()}
    label = max(theirs, key=lambda k: theirs[k][0])
    top, middle = theirs[label]
    print(f"{kind} inference, {name}, batch {batch}\t{best:.0f}\timages/s\t{best / top:.2f}x ONNX Runtime {onnxruntime.__version__} ({label}) {top:.0f}; "
          f"medians {median:.0f} and {middle:.0f}, {median / middle:.2f}x{note}", flush=True)
    for p in [ours, *peers.values()]:
        p.close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("infer")
    p.add_argument("shared", type=pathlib.Path)
    p.add_argument("work", type=pathlib.Path)
    p.add_argument("--turns", type=int, default=7)
    p.add_argument("--seconds", type=float, default=0.7)
    p.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    p.add_argument("--only", default="")
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    if not (a.shared / "models").is_dir():
        print(f"SKIP: {a.shared}/models is not there (ESPL_SHARED)", file=sys.stderr)
        return
    bad = 0
    for kind, net, batch in CASES:
        if a.only in f"{kind} {net[0]} {batch}":
            try:
                compare(a, kind, net, batch)
            except (RuntimeError, OSError) as e:
                print(f"bench: {e}", file=sys.stderr)
                bad = 1
    sys.exit(bad)


if __name__ == "__main__":
    main()
