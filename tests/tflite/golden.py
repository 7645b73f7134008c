#!/usr/bin/env python3
"""Writes golden.txt: what TFLite's reference kernels compute on the test files. Needs the PyPI package tflite-runtime 2.14.0 and numpy.

usage: tests/tflite/golden.py DIR [resnet8_ic01_int8.tflite] > tests/tflite/golden.txt
A line: file, image number, tensor, its integers in order H, W, C. Input byte k of image n is that of `input_byte`.
"""
import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType


def input_byte(n, k):
    """Smooth enough to reach all classes: a wave of the index, and noise."""
    noise = ((k * 2654435761 + n * 40503 + 12345) % 2**32) >> 24
    return (k * (3 + n) // 2 + noise // 2 + 37 * n) % 256


def run(path, name, images, wanted):
    i = Interpreter(path, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, experimental_preserve_all_tensors=True)
    i.allocate_tensors()
    d = i.get_input_details()[0]
    names = {t["name"].split(";")[0]: t["index"] for t in i.get_tensor_details()}
    _, h, w, c = d["shape"]
    for n in range(images):
        x = np.array([input_byte(n, k) for k in range(h * w * c)], np.int32).reshape(1, h, w, c)
        if d["dtype"] == np.float32:  # the file quantizes it itself: real values of these integers
            s, z = i.get_tensor_details()[names["bytes"]]["quantization"]
            x = (np.float32(s) * (x - 128 - z).astype(np.float32)).astype(np.float32)
        elif d["dtype"] == np.int8:
            x = (x - 128).astype(np.int8)
        i.set_tensor(d["index"], x.astype(d["dtype"]))
        i.invoke()
        for t in wanted if n < 2 else wanted[-2:]:
            v = i.get_tensor(names[t]).reshape(-1).astype(int)
            print(name, n, t, *[int(e) - (128 if d["dtype"] == np.uint8 else 0) for e in v])


run(f"{sys.argv[1]}/mobile.tflite", "mobile", 8, ["stem", "depthwise", "sum", "joined", "mean", "classes", "probabilities"])
run(f"{sys.argv[1]}/surround.tflite", "surround", 8, ["average", "again", "hidden", "classes"])
run(f"{sys.argv[1]}/asymmetric.tflite", "asymmetric", 8, ["average", "classes"])
if len(sys.argv) > 2:
    run(sys.argv[2], "resnet8", 6, ["model/average_pooling2d/AvgPool", "model/dense/MatMul", "Identity_int8"])
