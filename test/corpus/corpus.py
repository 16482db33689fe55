"""Judges the whole corpus: a table of what became of each fault, and percentages.

    corpus.py [--build gcc-O2] [--only PROGRAM[/FAULT]] [--verbose]
"""

import argparse
import collections
import os
import shutil
import tempfile

from faults import programs
from judge import judge
from servers import runtime

builds = ("gcc-O2", "gcc-O3", "clang-O1", "clang-O2")


def run(build, only="", tell=None):
    """The verdict on each fault of one build."""
    verdicts = {}
    folder = tempfile.mkdtemp(prefix="selfheal-corpus-")
    try:
        for program in programs:
            binary = os.path.join(os.environ["SELFHEAL_CORPUS"], build, program.name)
            for number, fault in enumerate(program.faults):
                if str(fault).startswith(only):
                    store = runtime.Store(os.path.join(folder, f"{program.name}-{number}"))
                    verdicts[fault] = judge(binary, program, fault, store, tell and (lambda run, f=fault, s=store: tell(f, run, s)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return verdicts


def summary(verdicts):
    refused = sum(v.refused for v in verdicts.values())
    counts = collections.Counter(v.outcome for v in verdicts.values())
    others = ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common() if outcome != "refused")
    return f"{refused} of {len(verdicts)} refused as they should be, {100 * refused / len(verdicts):.1f}%" + (f"; {others}" if others else "")


def table(verdicts):
    return "\n".join(f"  {str(fault):26} {fault.returns:34} {v.outcome:13} {v.detail}" for fault, v in verdicts.items())


def show(fault, run, store):
    print(f"--- {fault}: {fault.request!r}")
    for request, answer in zip(run.requests, run.answers):
        print(f"    {request} -> {answer}")
    for region in store.regions():
        print(store.cli("info", region["id"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="append", choices=builds)
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    for build in options.build or builds:
        verdicts = run(build, options.only, show if options.verbose else None)
        print(f"{build}\n{table(verdicts)}\n{build}: {summary(verdicts)}", flush=True)


if __name__ == "__main__":
    main()
