#!/usr/bin/env python3
"""Laws of the JSON and the store that the commands leave behind. Prints the first broken one and exits 1.

usage: check.py study FILE.json BUDGET [--rtl] NAME...   variants in order; speed-up = ratio of cycles; every steered variant within the budget
       check.py compress FILE.json BUDGET KIND           the same for one variant; the machine's figures agree with each other
       check.py sweep FILE.json CELLS REFUSED            counts, and cycles >= MACs / (rows * columns)
       check.py same A.json B.json                       equal but for the path of the report
       check.py store FILE.db [EVENT]                    sound, and has an event of that kind
"""
import json
import math
import os
import sqlite3
import sys


def need(ok, text):
    if not ok:
        sys.exit("check: " + text)


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-9)


def study(path, budget, *names):
    rtl = "--rtl" in names
    names = [n for n in names if n != "--rtl"]
    doc = json.load(open(path))
    rows = doc["variants"]
    need([r["name"] for r in rows] == names, f"variants are {[r['name'] for r in rows]}, expected {names}")
    base = rows[0]
    for r in rows:
        need(close(r["speedup"], base["cycles"] / r["cycles"]), f"{r['name']}: speed-up {r['speedup']}, cycles {r['cycles']}")
        need(r["kind"] == "baseline" or r["cycles"] <= float(budget) * base["cycles"], f"{r['name']}: {r['cycles']} cycles of {base['cycles']}")
        for key in ("float_val", "float_test", "int8_val", "int8_test", "utilization", "roof_fraction"):
            need(0 < r[key] <= 1, f"{r['name']}: {key} is {r.get(key)}")
        proved = rtl and (r is base or r.get("steered_by") == "cycles")
        need(("rtl_agree" in r) == proved, f"{r['name']}: RTL {r.get('rtl_agree')}")
        need(not proved or (r["rtl_agree"] is True and r["rtl_cycles"] == r["cycles"]), f"{r['name']}: RTL {r.get('rtl_cycles')} cycles, model {r['cycles']}")
    html = open(doc["report"]).read()
    need(all(n in html for n in names), "the page does not name every variant")
    folder = os.path.dirname(doc["report"])
    csv = open(os.path.join(folder, "variants.csv"), newline="").read().split("\r\n")
    need([line.split(",")[0] for line in csv[1:-1]] == names, "variants.csv has other rows")
    json.load(open(os.path.join(folder, "report.json")))
    need(len(open(os.path.join(folder, "layers.csv"), newline="").read().split("\r\n")) > len(names) + 2, "layers.csv is short")


def compress(path, budget, kind):
    doc = json.load(open(path))
    before, after = doc["before"], doc["after"]
    need(doc["kind"] == kind, f"kind is {doc['kind']}")
    need(close(doc["speedup"], before["cycles"] / after["cycles"]), "speed-up is not the ratio of cycles")
    need(after["cycles"] <= float(budget) * before["cycles"], f"{after['cycles']} cycles of {before['cycles']}")
    need(after["macs"] < before["macs"], "no multiplication was saved")
    need((after["params"] < before["params"]) == (kind != "block"), f"{after['params']} parameters of {before['params']}")
    need(kind == "block" or after["macs"] == after["macs_dense"], "zero tiles in a slimmed network")


def sweep(path, cells, refused):
    doc = json.load(open(path))
    need(len(doc["cells"]) == int(cells), f"{len(doc['cells'])} cells, expected {cells}")
    need(doc["computed"] + doc["known"] == int(cells), "computed and known cells do not add up")
    no = [c for c in doc["cells"] if "refused" in c]
    need(len(no) == int(refused) == doc["refused"], f"{len(no)} refused, expected {refused}")
    need(all(len(c["refused"]) > 20 for c in no), "a refusal without a reason")
    for c in doc["cells"]:
        if "cycles" in c:
            m = c["machine"]
            need(c["cycles"] >= c["macs"] / (m["rows"] * m["cols"]), f"{c['point']}: fewer cycles than the array needs")
            need(close(c["utilization"], c["macs"] / (m["rows"] * m["cols"] * c["cycles"])), f"{c['point']}: utilization")


def same(a, b):
    docs = [json.load(open(p)) for p in (a, b)]
    for d in docs:
        for key in ("report", "run", "computed", "known"):
            d.pop(key, None)



def store(path, event=None):
    db = sqlite3.connect(path)
    need(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the store is damaged")
    need(db.execute("SELECT count(*) FROM layer WHERE variant NOT IN (SELECT id FROM variant)").fetchone()[0] == 0, "layers without a variant")
    need(event is None or db.execute("SELECT count(*) FROM event WHERE kind=?", (event,)).fetchone()[0] > 0, f"no event '{event}'")


{"study": study, "compress": compress, "sweep": sweep, "same": same, "store": store}[sys.argv[1]](*sys.argv[2:])
