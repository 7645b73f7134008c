#!/usr/bin/env python3
"""SCALE-Sim (the PyPI package scalesim) beside our closed form of it and beside our exact simulator, layer by layer.

usage: scalesim.py ESPALIER TABLE [--layers N|all] [--array RxC] [--dataflow ws|os|is]      (an interpreter that can import scalesim)
TABLE is a convolution table; columns of padding go into the input's size, because SCALE-Sim knows none. Layers of equal shape are run
once, each in a process of its own, so that its memory is that of one layer; --layers N takes the N with the fewest cycles. Every column of its
COMPUTE_REPORT.csv but those of prefetching must be in ours as it is there.
A line a layer goes to standard error, tab-separated figures (name, value, unit, note) to standard output. Exit status 1: a number differs.
"""
import argparse
import csv
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

CONFIG = """[general]
run_name = peer
[architecture_presets]
ArrayHeight : {rows}
ArrayWidth : {cols}
IfmapSramSzkB : 64
FilterSramSzkB : 64
OfmapSramSzkB : 64
IfmapOffset : 0
FilterOffset : 10000000
OfmapOffset : 20000000
Bandwidth : 10
Dataflow : {dataflow}
ReadRequestBuffer : 32
WriteRequestBuffer : 32
[layout]
IfmapCustomLayout : False
IfmapSRAMBankBandwidth : 10
IfmapSRAMBankNum : 10
IfmapSRAMBankPort : 2
FilterCustomLayout : False
FilterSRAMBankBandwidth : 10
FilterSRAMBankNum : 10
FilterSRAMBankPort : 2
[sparsity]
SparsitySupport : false
SparseRep : ellpack_block
OptimizedMapping : false
BlockSize : 8
RandomNumberGeneratorSeed : 40
[run_presets]
InterfaceBandwidth : CALC
UseRamulatorTrace : False
"""
HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
LAYOUT = "Layer, " + ", ".join(f"d{i}" for i in range(20)) + ",\nlayer" + ", 1" * 20 + ",\n"
RUN = ("from scalesim.scale_sim import scalesim; import sys; "
       "scalesim(save_disk_space=True, verbose=False, config=sys.argv[1], topology=sys.argv[2], layout=sys.argv[3]).run_scale(top_path=sys.argv[4])")


def read_table(path):
    """[(name, (H, W, R, S, C, M, stride))], padding inside H and W."""
    rows = [[f.strip() for f in row] for row in csv.reader(open(path)) if row]
    head, out = rows[0], []
    for row in rows[1:]:
        n = [int(f) for f in row[1:8]]
        pad = {name: int(row[i]) for i, name in enumerate(head) if name.startswith("Pad ")}
        n[0] += pad.get("Pad Top", 0) + pad.get("Pad Bottom", 0)
        n[1] += pad.get("Pad Left", 0) + pad.get("Pad Right", 0)
        out.append((row[0], tuple(n)))
    return out


def run(command):
    """(wall, processor time, MB) of a command."""
    a, t = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit("scalesim.py: " + " ".join(map(str, command)) + " failed:\n" + done.stdout[-2000:])
    b = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - t, b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime, b.ru_maxrss / 1024


def compute_rows(folder):
    """Rows of the one COMPUTE_REPORT.csv below folder: column name -> text."""
    path = next(pathlib.Path(folder).rglob("COMPUTE_REPORT.csv"))
    rows = [[f.strip() for f in row if f.strip()] for row in csv.reader(open(path)) if row]
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def same(a, b):
    return a == b or abs(float(a) - float(b)) <= 1e-9 * abs(float(a))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("espalier")
    p.add_argument("table")
    p.add_argument("--layers", default="all")
    p.add_argument("--array", default="32x32")
    p.add_argument("--dataflow", default="ws", choices=["ws", "os", "is"])
    o = p.parse_args()
    rows, cols = map(int, o.array.split("x"))
    every = read_table(o.table)
    with tempfile.TemporaryDirectory(prefix="espl-scalesim.") as folder:
        work = pathlib.Path(folder)
        config, layout, whole = work / "peer.cfg", work / "layout.csv", work / "whole.csv"
        config.write_text(CONFIG.format(rows=rows, cols=cols, dataflow=o.dataflow))
        layout.write_text(LAYOUT)
        whole.write_text(HEADER + "".join(f"{name}, {', '.join(map(str, n))},\n" for name, n in every))
        closed = [o.espalier, "sim", whole, "--timing", "scale-sim", "--config", config, "--report", work / "ours", "--quiet"]
        ours_wall, ours_cpu, _ = run(closed)
        exact_wall, exact_cpu, exact_mb = run([o.espalier, "sim", o.table, "--machine", o.array, "--quiet"])
        ours = compute_rows(work / "ours")
        if len(ours) != len(every):
            sys.exit(f"scalesim.py: {len(ours)} rows reported for {len(every)} layers")
        total = sum(int(float(r["Total Cycles"])) for r in ours)
        first = {}
        for i, (name, n) in enumerate(every):
            first.setdefault(n, i)
        chosen = sorted(first.values(), key=lambda i: float(ours[i]["Total Cycles"]))
        if o.layers != "all":
            chosen = chosen[:int(o.layers)]
        wrong = numbers = cycles = 0
        wall = cpu = mb = 0.0
        for i in chosen:
            name, n = every[i]
            one, out = work / "one.csv", work / f"layer{i}"
            one.write_text(HEADER + f"layer, {', '.join(map(str, n))},\n")
            w, c, mb = run([sys.executable, "-c", RUN, config, one, layout, out])
            theirs = compute_rows(out)[0]
            bad = []
            for column, value in theirs.items():
                if re.search("prefetch|LayerID", column):
                    continue
                numbers += 1
                if column not in ours[i] or not same(value, ours[i][column]):
                    bad.append(f"{column}: {value}, ours {ours[i].get(column)}")
            wrong += len(bad)
            wall, cpu, cycles = wall + w, cpu + c, cycles + int(float(theirs["Total Cycles"]))
            print(f"{name:12} {theirs['Total Cycles']:>9} cycles {c:7.1f} s {'; '.join(bad) or 'as ours'}", file=sys.stderr, flush=True)
    label = f"{pathlib.Path(o.table).stem}, {o.array} {o.dataflow}"
    few = f"{len(chosen)} of {len(first)} shapes, {len(every)} layers"
    print(f"SCALE-Sim, {label}\t{cpu:.1f}\ts\tprocessor time; wall {wall:.1f} s; {few}; {cycles} cycles; at most {mb:.0f} MB")
    print(f"numbers of its reports that differ from ours\t{wrong}\t\tof {numbers}; {label}")
    print(f"espalier, its closed form, {label}\t{1e3 * ours_cpu:.1f}\tms\tprocessor time; wall {1e3 * ours_wall:.1f} ms; all {len(every)} layers; {total} cycles")
    print(f"espalier, exact, {o.array}\t{1e3 * exact_cpu:.1f}\tms\tprocessor time; wall {1e3 * exact_wall:.1f} ms; mapping included; at most {exact_mb:.0f} MB")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
