#!/usr/bin/env python3
"""Writes the small TFLite files of the unit tests: every supported operator, seeded weights, standard library only.

usage: tests/tflite/make.py DIR
The FlatBuffer is written forwards: a table, then what it points to. Weights, scales and inputs come from one linear generator.
"""
import struct
import sys

F32, I32, U8, I8 = 0, 2, 3, 9
SAME, VALID = 0, 1
CODE = dict(ADD=0, AVERAGE_POOL_2D=1, CONCATENATION=2, CONV_2D=3, DEPTHWISE_CONV_2D=4, DEQUANTIZE=6, FULLY_CONNECTED=9, MAX_POOL_2D=17, RELU=19, RELU6=21,
            RESHAPE=22, SOFTMAX=25, PAD=34, MEAN=40, QUANTIZE=114, LOGISTIC=14)
OPTIONS = dict(ADD=11, AVERAGE_POOL_2D=5, CONCATENATION=10, CONV_2D=1, DEPTHWISE_CONV_2D=2, FULLY_CONNECTED=8, MAX_POOL_2D=5, RESHAPE=17, SOFTMAX=9, MEAN=27)
SIZE = {"b": 1, "B": 1, "i": 4, "I": 4, "f": 4, "q": 8}


class Random:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> 33

    def ints(self, n, lo, hi):
        return [lo + self.next() % (hi - lo + 1) for _ in range(n)]

    def scale(self, lo, hi):
        return struct.unpack("<f", struct.pack("<f", lo + (hi - lo) * (self.next() % 65536) / 65536))[0]


class Writer:
    """Objects: dict {field: (format, value) or an object}, (format, list) vectors, list of dicts, bytes, str."""

    def __init__(self):
        self.out = bytearray()

    def align(self, n):
        self.out += bytes(-len(self.out) % n)

    def emit(self, x):
        if isinstance(x, dict):
            return self.table(x)
        if isinstance(x, (bytes, str)):
            data = x.encode() + b"\0" if isinstance(x, str) else x
            count = len(x)
            while (len(self.out) + 4) % 16:
                self.out += b"\0"
            at = len(self.out)
            self.out += struct.pack("<I", count) + data
            return at
        if isinstance(x, list):
            self.align(4)
            at = len(self.out)
            self.out += struct.pack("<I", len(x)) + bytes(4 * len(x))
            for k, child in enumerate(x):
                self.point(at + 4 + 4 * k, child)
            return at
        fmt, values = x
        while (len(self.out) + 4) % SIZE[fmt] or len(self.out) % 4:
            self.out += b"\0"
        at = len(self.out)
        self.out += struct.pack("<I", len(values)) + struct.pack(f"<{len(values)}{fmt}", *values)
        return at

    def point(self, at, child):
        struct.pack_into("<I", self.out, at, self.emit(child) - at)

    def table(self, fields):
        n = max(fields, default=-1) + 1
        place, size = [0] * n, 4
        for k, v in sorted(fields.items()):
            bytes_ = SIZE[v[0]] if isinstance(v, tuple) and not isinstance(v[1], list) else 4
            size += -size % bytes_
            place[k] = size
            size += bytes_
        self.align(4)
        if (len(self.out) + 4 + 2 * n) % 4:
            self.out += b"\0\0"
        vtable = len(self.out)
        self.out += struct.pack(f"<HH{n}H", 4 + 2 * n, size, *place)
        self.align(4)
        at = len(self.out)
        self.out += struct.pack("<i", at - vtable) + bytes(size - 4)
        for k, v in sorted(fields.items()):
            if isinstance(v, tuple) and not isinstance(v[1], list):
                struct.pack_into("<" + v[0], self.out, at + place[k], v[1])
            else:
                self.point(at + place[k], v)
        return at


class Model:
    def __init__(self, seed):
        self.tensors, self.buffers, self.operators, self.codes, self.random = [], [{}], [], [], Random(seed)

    def tensor(self, name, shape, kind, scale=None, zero=None, axis=0, data=None):
        t = {0: ("i", shape), 1: ("b", kind), 3: name}
        if data is not None:
            self.buffers.append({0: data})
            t[2] = ("I", len(self.buffers) - 1)
        if scale is not None:
            scale = scale if isinstance(scale, list) else [scale]
            zero = zero if isinstance(zero, list) else [zero or 0] * len(scale)
            t[4] = {2: ("f", scale), 3: ("q", zero), 6: ("i", axis)}
        self.tensors.append(t)
        return len(self.tensors) - 1

    def op(self, name, inputs, output, options=None, version=1):
        if (name, version) not in self.codes:
            self.codes.append((name, version))
        o = {0: ("I", self.codes.index((name, version))), 1: ("i", inputs), 2: ("i", [output])}
        if name in OPTIONS:
            o[3], o[4] = ("B", OPTIONS[name]), options or {}
        self.operators.append(o)
        return output

    def scale_of(self, t):
        return self.tensors[t][4][2][1][0]

    def weights(self, name, op, x, shape, out_shape, out_scale, out_zero, options, kind=I8, per_channel=True, version=3):
        """A convolution or matrix product with random weights and bias."""
        r = self.random
        channels = shape[3] if op == "DEPTHWISE_CONV_2D" else shape[0]
        n = 1
        for e in shape:
            n *= e
        if kind == I8:
            scales = [r.scale(0.002, 0.01) for _ in range(channels)] if per_channel else [r.scale(0.002, 0.01)]
            zero, data = 0, struct.pack(f"<{n}b", *r.ints(n, -127, 127))
        else:
            scales, zero, data = [r.scale(0.002, 0.01)], r.ints(1, 90, 160)[0], bytes(r.ints(n, 0, 255))
        axis = 3 if op == "DEPTHWISE_CONV_2D" else 0
        w = self.tensor(name + "/w", shape, kind, scales, zero, axis, data)
        unit = [self.scale_of(x) * s for s in scales]
        b = self.tensor(name + "/b", [channels], I32, unit, 0, 0, struct.pack(f"<{channels}i", *r.ints(channels, -3000, 3000)))
        y = self.tensor(name, out_shape, I8 if kind == I8 else U8, out_scale, out_zero)
        return self.op(op, [x, w, b], y, options, version)

    def ints(self, name, values):
        return self.tensor(name, [len(values)] if not isinstance(values[0], list) else [len(values), 2], I32,
                           data=struct.pack("<%di" % len(sum(values, []) if isinstance(values[0], list) else values),
                                            *(sum(values, []) if isinstance(values[0], list) else values)))

    def write(self, path, inputs, outputs):
        codes = [{0: ("b", min(CODE[n], 127)), 2: ("i", v), 3: ("i", CODE[n])} for n, v in self.codes]
        sub = {0: self.tensors, 1: ("i", inputs), 2: ("i", outputs), 3: self.operators, 4: "main"}
        w = Writer()
        w.out += bytes(4) + b"TFL3"
        w.point(0, {0: ("I", 3), 1: codes, 2: [sub], 3: "test", 4: self.buffers})
        with open(path, "wb") as f:
            f.write(w.out)


def conv_options(padding, stride, activation=0, dilation=1):
    return {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("b", activation), 4: ("i", dilation), 5: ("i", dilation)}


def depthwise_options(padding, stride, multiplier, activation=0):
    return {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("i", multiplier), 4: ("b", activation), 5: ("i", 1), 6: ("i", 1)}


def pool_options(padding, stride, w, h):
    return {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("i", w), 4: ("i", h), 5: ("b", 0)}


def mobile(path):
    """int8: strided convolution with RELU6, depthwise (multiplier 2), PAD + VALID, max pool, concatenation, addition, mean, softmax."""
    m = Model(11)
    x = m.tensor("image", [1, 9, 8, 3], I8, 0.0078125, 3)
    a = m.weights("stem", "CONV_2D", x, [8, 3, 3, 3], [1, 5, 4, 8], 6 / 255, -128, conv_options(SAME, 2, 3))
    d = m.weights("depthwise", "DEPTHWISE_CONV_2D", a, [1, 3, 3, 16], [1, 5, 4, 16], 0.09, -7, depthwise_options(SAME, 1, 2))
    e = m.weights("point", "CONV_2D", d, [16, 1, 1, 16], [1, 5, 4, 16], 0.31, 11, conv_options(VALID, 1))
    s = m.op("ADD", [d, e], m.tensor("sum", [1, 5, 4, 16], I8, 0.33, -128), {0: ("b", 1)}, 2)
    p = m.op("PAD", [s, m.ints("pads", [[0, 0], [1, 0], [0, 1], [0, 0]])], m.tensor("padded", [1, 6, 5, 16], I8, 0.33, -128), version=2)
    v = m.weights("valid", "CONV_2D", p, [12, 3, 2, 16], [1, 4, 4, 12], 0.9, -20, conv_options(VALID, 1, 1))
    w = m.weights("dilated", "CONV_2D", p, [4, 2, 2, 16], [1, 4, 3, 4], 0.9, -20, conv_options(VALID, 1, 0, 2))
    q = m.op("MAX_POOL_2D", [v], m.tensor("pooled", [1, 4, 3, 12], I8, 0.9, -20), pool_options(VALID, 1, 2, 1), 2)
    c = m.op("CONCATENATION", [w, q], m.tensor("joined", [1, 4, 3, 16], I8, 0.9, -20), {0: ("i", 3), 1: ("b", 0)}, 2)
    g = m.op("MEAN", [c, m.ints("axes", [1, 2])], m.tensor("mean", [1, 16], I8, 0.4, -31), {0: ("B", 0)}, 2)
    f = m.weights("classes", "FULLY_CONNECTED", g, [7, 16], [1, 7], 0.11, 5, {0: ("b", 0)}, per_channel=False, version=4)
    y = m.op("SOFTMAX", [f], m.tensor("probabilities", [1, 7], I8, 1 / 256, -128), {0: ("f", 1.0)}, 2)
    m.write(path, [x], [y])


def surround(path):
    """float input and output around int8: QUANTIZE, average pool with padding, RELU alone, requantization, flattened image, DEQUANTIZE."""
    m = Model(12)
    x = m.tensor("image", [1, 7, 6, 3], F32)
    i = m.op("QUANTIZE", [x], m.tensor("bytes", [1, 7, 6, 3], I8, 0.01, -4))
    a = m.weights("conv", "CONV_2D", i, [6, 3, 3, 3], [1, 7, 6, 6], 0.05, 9, conv_options(SAME, 1), per_channel=False)
    r = m.op("RELU", [a], m.tensor("relu", [1, 7, 6, 6], I8, 0.026, -128), version=2)
    p = m.op("AVERAGE_POOL_2D", [r], m.tensor("average", [1, 4, 3, 6], I8, 0.026, -128), pool_options(SAME, 2, 3, 3), 2)
    q = m.op("QUANTIZE", [p], m.tensor("again", [1, 4, 3, 6], I8, 0.031, -100), version=2)
    f = m.op("RESHAPE", [q, m.ints("shape", [-1, 72])], m.tensor("flat", [1, 72], I8, 0.031, -100), {0: ("i", [-1, 72])})
    h = m.weights("hidden", "FULLY_CONNECTED", f, [9, 72], [1, 9], 0.2, -128, {0: ("b", 1)}, per_channel=False, version=4)
    k = m.weights("classes", "FULLY_CONNECTED", h, [5, 9], [1, 5], 0.12, -12, {0: ("b", 0)}, per_channel=False, version=4)
    y = m.op("DEQUANTIZE", [k], m.tensor("logits", [1, 5], F32), version=2)
    m.write(path, [x], [y])


def asymmetric(path):
    """uint8 with weights that have a zero point of their own."""
    m = Model(13)
    x = m.tensor("image", [1, 6, 6, 3], U8, 0.0078125, 128)
    a = m.weights("conv", "CONV_2D", x, [8, 3, 3, 3], [1, 3, 3, 8], 0.02, 0, conv_options(SAME, 2, 1), U8, False, 1)
    d = m.weights("depthwise", "DEPTHWISE_CONV_2D", a, [1, 3, 3, 8], [1, 3, 3, 8], 0.05, 120, depthwise_options(SAME, 1, 1), U8, False, 1)
    p = m.op("AVERAGE_POOL_2D", [d], m.tensor("average", [1, 1, 1, 8], U8, 0.05, 120), pool_options(VALID, 3, 3, 3))
    k = m.weights("classes", "FULLY_CONNECTED", p, [5, 8], [1, 5], 0.04, 100, {0: ("b", 0)}, U8, False, 1)
    m.write(path, [x], [k])


def refused(path):
    m = Model(14)
    x = m.tensor("image", [1, 4, 4, 3], I8, 0.01, 0)
    a = m.weights("conv", "CONV_2D", x, [4, 1, 1, 3], [1, 4, 4, 4], 0.05, 0, conv_options(SAME, 1))
    y = m.op("LOGISTIC", [a], m.tensor("y", [1, 4, 4, 4], I8, 1 / 256, -128))
    m.write(path, [x], [y])


if __name__ == "__main__":
    for make in (mobile, surround, asymmetric, refused):
        make(f"{sys.argv[1]}/{make.__name__}.tflite")
