#!/usr/bin/env python3
"""Prints docs/survival.md from the results of campaigns: survival.py COMMIT NAME.json ..."""

import json
import os
import sys

head = """# Survival: what becomes of faults put into stock servers

Measured by `selfheal campaign` ([how it is done and judged](cli.md#campaign)); this page is printed from its results by `campaign/survival.py`. Again:

    python3 campaign/stock.py nginx campaign --output nginx.json --sample {sample} --seed {seed} --jobs 2 --runs {runs}

Runtime: {commit}. Servers as Debian 12 ships them: {builds}. **These are figures from samples** of about a hundred on a busy machine (two cores, twelve copies of servers at once): the intervals are wide, and 500 faults a server are
still to come. The fault is in *every* call of the function that comes by, and nothing else is relaxed:
the workload's every answer, all processes, descriptors and memory are compared. `run 2` is the strict measure: one crash, then healed. Some functions need another run, as the error returned by the
first one crashes its caller, which is recorded and healed the next time. `stopped` counts as survived: policy wants it so.

| server | faults | survived by run 2 | by run {runs} | 95% interval | of these stopped | crash | hang | wrong | leak | unrecorded | start-up (apart) |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def row(name, report):
    faults = report["faults"]
    counts = {}
    for fault in faults:
        counts[fault["verdict"]] = counts.get(fault["verdict"], 0) + 1
    strict = sum(f["verdict"] in ("healed", "stopped") and f["run"] <= 2 for f in faults)
    all_of_them = report["counted"]
    low, high = report["interval"]
    cells = [name, all_of_them, f"{strict} ({strict / all_of_them:.0%})",
             f"{report['survived']} ({report['survived'] / all_of_them:.0%})", f"{low:.0%} to {high:.0%}",
             *(counts.get(v, 0) for v in ("stopped", "crash", "hang", "wrong", "leak", "unrecorded", "start-up"))]
    return "| " + " | ".join(map(str, cells)) + " |"


def builds(files):
    """What the campaigns' heads say of the files that faults were put into."""
    ids = {}
    for file in files:
        with open(file + ".d/results.jsonl", encoding="utf-8") as f:
            ids.update(json.loads(f.readline())["build_ids"])
    return ", ".join(f"{name} {id[:8]}" for name, id in sorted(ids.items()))


def causes():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "causes.json"), encoding="utf-8") as f:
        return json.load(f)


def misses(name, report):
    known = causes()
    for fault in report["faults"]:
        if fault["verdict"] in ("crash", "hang", "wrong", "leak", "unrecorded"):
            first = "; ".join(sorted(set(fault["first"]["faults"])))
            yield (f"| {name} | `{fault['id']}` | {fault['function']} | {fault['verdict']}, run {fault['run']} | {first} | "
                   f"{fault['what'].replace('|', '/')} | {known.get(fault['id'], 'not looked into yet')} |")


def main():
    commit, *files = sys.argv[1:]
    reports = {}
    for file in files:
        with open(file, encoding="utf-8") as f:
            reports[os.path.splitext(os.path.basename(file))[0]] = json.load(f)
    any_report = next(iter(reports.values()))
    print(head.format(commit=commit, sample=max(r["counted"] for r in reports.values()), seed=any_report["seed"],
                      runs=any_report["runs"], builds=builds(files)), end="")
    print("\n".join(row(name, report) for name, report in reports.items()))
    print("\n## Every miss\n\n`--only ID` runs one again.\n\n| server | fault | in | verdict | first run | last run | cause |\n|---|---|---|---|---|---|---|")
    print("\n".join(line for name, report in reports.items() for line in misses(name, report)))


if __name__ == "__main__":
    main()
