#!/usr/bin/env python3
"""Writes small ONNX files, most of them wrong, straight as protobuf bytes (field numbers of onnx.proto), so that no ONNX package is needed.

usage: networks.py FOLDER
"""
import os
import struct
import sys


def varint(v):
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    return bytes(out + bytes([v]))


def num(field, v):
    return varint(field << 3) + varint(v)


def sub(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def value(name, dims):
    shape = b"".join(sub(1, num(1, d)) for d in dims)
    return sub(1, name) + sub(2, sub(1, num(1, 1) + sub(2, shape)))


def tensor(name, dims):
    n = 1
    for d in dims:
        n *= d
    raw = b"".join(struct.pack("<f", (i % 7 - 3) / 8) for i in range(n))
    return b"".join(num(1, d) for d in dims) + num(2, 1) + sub(8, name) + sub(9, raw)


def ints(name, values):
    return sub(5, sub(1, name) + b"".join(num(8, v) for v in values) + num(20, 7))


def node(op, name, inputs, output, attrs=b""):
    return b"".join(sub(1, i) for i in inputs) + sub(2, output) + sub(3, name) + sub(4, op) + attrs


def model(nodes, tensors, out_dims, in_dims=(1, 1, 28, 28)):
    graph = b"".join(sub(1, n) for n in nodes) + sub(2, "small") + b"".join(sub(5, t) for t in tensors)
    graph += sub(11, value("image", in_dims)) + sub(12, value("logits", out_dims))
    return num(1, 7) + sub(7, graph) + sub(8, num(2, 13))


def conv(name, source, weight, output):
    return node("Conv", name, [source, weight], output, ints("kernel_shape", [3, 3]) + ints("pads", [1, 1, 1, 1]))


def tail(channels, classes=10):
    return [node("GlobalAveragePool", "mean", ["y"], "m"), node("Flatten", "flat", ["m"], "f"), node("Gemm", "fc", ["f", "wf"], "logits", sub(5, sub(1, "transB") + num(3, 1) + num(20, 2)))], \
        [tensor("wf", [classes, channels])]


def main(folder):
    os.makedirs(folder, exist_ok=True)
    end, wf = tail(8)
    w1, w2 = tensor("w1", [8, 1, 3, 3]), tensor("w2", [8, 8, 3, 3])
    files = {
        "good.onnx": model([conv("stem", "image", "w1", "a"), node("Relu", "act", ["a"], "b"), conv("second", "b", "w2", "y")] + end, [w1, w2] + wf, (1, 10)),
        # an operator outside the supported set, at a node with a name
        "unsupported.onnx": model([conv("stem", "image", "w1", "a"), node("Einsum", "mixer_3", ["a"], "y")] + end, [w1] + wf, (1, 10)),
        # the weight wants 5 channels, the tensor has 8
        "shapes.onnx": model([conv("stem", "image", "w1", "a"), conv("second", "a", "w5", "y")] + end, [w1, tensor("w5", [8, 5, 3, 3])] + wf, (1, 10)),
        # sound, but for other images, or other classes, than the data sets of the tests
        "colour.onnx": model([conv("stem", "image", "w3", "y")] + end, [tensor("w3", [8, 3, 3, 3])] + wf, (1, 10), (1, 3, 28, 28)),
        "classes.onnx": model([conv("stem", "image", "w1", "y")] + tail(8, 7)[0], [w1] + tail(8, 7)[1], (1, 7)),
        "empty.onnx": b"",
        "text.onnx": b"this is a sentence about networks, not a network\n" * 4,
    }
    files["truncated.onnx"] = files["good.onnx"][:len(files["good.onnx"]) * 2 // 3]
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


main(sys.argv[1])
