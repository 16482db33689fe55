#!/usr/bin/env python3
"""The small sample that the test suite has of each stock server, and what is known of it.

    sample.py NAME=REPORT.json ...    takes results over (a report is what `stock.py NAME campaign --output` wrote);
                                      of several of one server, what was survived in each of them

sample.json: for each server the seed of its draw, the faults that are left out because they would take minutes (each
request waits for its time-out, or what lingers is waited for: docs/survival.md has such), the build-ids of the files that
faults were put into, and those that are survived. Another build has other faults; of that nothing is known.
"""

import json
import os
import sys

file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sample.json")
size = 20
survival = ("healed", "stopped")
counted = (*survival, "crash", "hang", "wrong", "leak", "unrecorded")


def load():
    with open(file, encoding="utf-8") as f:
        return json.load(f)


def arguments(name):
    """Of `stock.py NAME campaign`, for the sample."""
    server = load()[name]
    return ["--sample", str(size), "--seed", str(server["seed"]), "--without", ",".join(server["without"]), "--runs", "2"]


def builds(output):
    """The build-ids that the campaign's results begin with."""
    with open(output + ".d/results.jsonl", encoding="utf-8") as f:
        return json.loads(f.readline())["build_ids"]


def survivors(report):
    return {fault["id"] for fault in report["faults"] if fault["verdict"] in survival}


def is_known(name, output):
    return load()[name]["builds"] == builds(output)


def known(name, report):
    """The faults that are known to be survived. Which places a server executes before it is ready depends on the load of
    the machine, too, and so, in few places, does the draw."""
    survived = set(load()[name]["survived"])
    return [fault for fault in report["faults"] if fault["id"] in survived]


def lost(name, report):
    """Those of them that were not."""
    return [fault for fault in known(name, report) if fault["verdict"] not in survival]


def main():
    servers = load()
    taken = {}
    for word in sys.argv[1:]:
        name, _, output = word.partition("=")
        with open(output, encoding="utf-8") as f:
            report = json.load(f)
        survived = survivors(report)
        if name in taken:
            survived &= set(taken[name]["survived"])
        taken[name] = {"builds": builds(output), "survived": sorted(survived)}
    for name, what in taken.items():
        servers[name].update(what)
    with open(file, "w", encoding="utf-8") as f:
        json.dump(servers, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
