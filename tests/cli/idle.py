#!/usr/bin/env python3
"""Command lines with an option that has no effect beside the others, and what the refusal must say: COMMAND <tab> TEXT, one a line.

usage: idle.py NETWORK.onnx (a float network)
"""
import sys

net = sys.argv[1]
evaluate, run = f"eval {net} --data builtin", f"run {net} --input t.npy -o none"
sim, table, scale = f"sim {net} --machine 8x8", "sim test.csv --machine 8x8", "sim test.csv --machine 8x8 --timing scale-sim"
quantize, compress = f"quantize {net} --data builtin -o none.onnx", f"compress {net} --data builtin -o none.onnx"

integers = ["--equalize", "--per-tensor", "--weights int4"]  # how a float network becomes integers
ranges = ["--calib 5", "--percentile 0.9", "--calibration mse", "--bias-correction"]  # the same, by looking at images
pictures = ["--mean 0", "--std 1", "--raw", "--order rgb", "--resize 8x8"]  # how images come in

rows = [(evaluate, o, "needs --int8") for o in integers + ranges]
rows += [(run, o, "needs --int8 or --device") for o in integers]
rows += [(table, o, "is for networks, test.csv is a table of layers") for o in integers]
rows += [(c, o, "needs --data") for c in (run + " --int8", sim) for o in ranges + pictures]
rows += [
    (evaluate + " --int8 --calibration mse", "--percentile 0.9", "does not go with --calibration"),
    (evaluate + " --int8", "--open-relu6", "needs --equalize"),
    (evaluate + " --int8", "--keep-range", "needs --weights"),
    (evaluate + " --int8 --weights codebook:3", "--keep-range", "is for int4 weights, --weights asks for codebook:3"),
    (evaluate + " --limit 2", "--limit 3", "is given twice"),
    (run, "--data builtin", "needs --int8 or --device"),
    (run, "--arithmetic machine", "needs --int8"),
    (run + " --int8 --device x --machine 8x8", "--arithmetic tflite", "does not go with --device"),
    (run + " --int8", "--reference", "does not go with --int8"),
    (run, "--check", "needs --device"),
    (run, "--baud 9600", "needs --device"),
    (run, "--timeout 2", "needs --device"),
    (run, "--machine 8x8", "needs --device"),
    (run, "--device /dev/null", "needs --machine"),
    (quantize, "--tune-lr 0.1", "needs --tune"),
    (quantize + " --tune 1 --weights int4", "--keep-range", "does not go with --tune"),
    (compress + " --kind block", "--rule cycles", "needs --kind dense"),
    (compress + " --kind dense", "--int-lr 0.1", "needs --int-epochs"),
    (compress + " --kind dense --tune-epochs 0", "--tune-lr 0.1", "does nothing with --tune-epochs 0"),
    (sim, "--trace t.fst", "needs --engine rtl or --engine both"),
    (sim, "--trace-to 5", "needs --trace"),
    (sim, "--input conv", "is for layer tables"),
    (sim, "--config c.cfg", "needs --timing scale-sim"),
    (table, "--batch 2", "is for networks"),
    (table, "--data builtin", "is for networks"),
    (table, "--report d", "needs --timing scale-sim"),
    (scale, "--engine both", "does not go with --timing scale-sim"),
    (scale, "--energy asic-45nm", "does not go with --timing scale-sim"),
    (scale, "--board ulx3s", "does not go with --timing scale-sim"),
    ("cost --check", "--machine 8x8", "does not go with --check"),
    ("cost --check", "--board ulx3s", "does not go with --check"),
    ("train resnet8", "--resume", "needs --checkpoint"),
    ("train resnet8", "--resume-elsewhere", "needs --checkpoint"),
    ("train resnet8", "--checkpoint-every 2", "needs --checkpoint"),
    ("train resnet8 --f32", "--bf16", "does not go with --f32"),
    ("train resnet8 --checkpoint c --resume-elsewhere", "--resume", "does not go with --resume-elsewhere"),
    ("demo --fast", "--train-epochs 1", "does not go with --fast"),
    (f"demo --network {net}", "--train-epochs 1", "is for networks that are trained here"),
]
for command, option, says in rows:
    print(f"{command} {option}\t{option.split()[0]} {says}")
