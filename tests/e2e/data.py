#!/usr/bin/env python3
"""Writes a small labelled image set as IDX files: 28x28 grey, ten classes, a bright square whose place says the class.

usage: data.py FOLDER            (400 training and 60 test images, the same bytes every time)
       data.py FOLDER short      a pixel file that ends before its header says
       data.py FOLDER counts     fewer labels than images
       data.py FOLDER magic      a pixel file that is none
"""
import os
import random
import struct
import sys

SIDE = 28


def image(rng, label):
    pixels = bytearray(rng.randrange(64) for _ in range(SIDE * SIDE))
    top, left = 2 + 13 * (label // 5), 1 + 5 * (label % 5)
    for y in range(top, top + 9):
        for x in range(left, left + 5):
            pixels[y * SIDE + x] = 160 + rng.randrange(90)
    return bytes(pixels)


def write(folder, kind, n, seed, wrong):
    rng = random.Random(seed)
    labels = [i % 10 for i in range(n)]
    pixels = b"".join(image(rng, k) for k in labels)
    if wrong == "short":
        pixels = pixels[:-100]
    if wrong == "counts":
        labels = labels[:-7]
    magic = 0x0D0A1A0A if wrong == "magic" else 2051
    with open(os.path.join(folder, kind + "-images-idx3-ubyte"), "wb") as f:
        f.write(struct.pack(">4I", magic, n, SIDE, SIDE) + pixels)
    with open(os.path.join(folder, kind + "-labels-idx1-ubyte"), "wb") as f:
        f.write(struct.pack(">2I", 2049, len(labels)) + bytes(labels))


def main(folder, wrong=None):
    os.makedirs(folder, exist_ok=True)
    write(folder, "train", 400, 1, wrong)
    write(folder, "t10k", 60, 2, None)


main(*sys.argv[1:3])
