"""Runs `selfheal verify` on faults of the corpus, and judges the candidate that it has put in use.

    verified.py [--build gcc-O2] [--only PROGRAM[/FAULT]]
"""

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import corpus
import judge
from faults import programs
from servers import runtime

check = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check.py")


@dataclass(frozen=True)
class Verified:
    by_default: judge.Verdict  # before it was verified
    healed: bool               # some candidate is said to heal
    candidate: str             # in use from then on
    afterwards: judge.Verdict

    @property
    def right(self):
        """It says so where a candidate heals, and only there; and that one is in use."""
        return self.healed == self.afterwards.refused and (self.healed or not self.by_default.refused)


def verify(binary, case, store, folder):
    """What `selfheal verify --json` says."""
    with open(os.path.join(folder, "case"), "wb") as file:
        pickle.dump(case, file)
    with open(os.path.join(folder, "input"), "w", encoding="latin-1", newline="") as file:
        file.write("".join(line + "\n" for line in case.rehearsal))
    region, = store.regions()
    run = subprocess.run(
        [runtime.command, "verify", region["id"], "--json", "--input", os.path.join(folder, "input"),
         "--check", f"{sys.executable} {check} {folder}/case", "--timeout", "30", "--", binary],
        env={**runtime.plain_environment(), "SELFHEAL_STORE": store.folder, "SELFHEAL_LIBRARY": runtime.library,
             "PYTHONPATH": os.environ["PYTHONPATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=600, check=False)
    if not run.stdout:
        raise AssertionError(f"verify: status {run.returncode}, {run.stderr}")
    return json.loads(run.stdout)


def verified(binary, program, fault, folder):
    """A Verified; None where the fault is not recorded."""
    plain = runtime.Store(os.path.join(folder, "plain"))
    case = judge.seed(binary, program, fault, plain)
    if isinstance(case, judge.Verdict):
        return None
    by_default = judge.judge_healing(case, plain)
    store = runtime.Store(os.path.join(folder, "verified"))
    judge.seed(binary, program, fault, store)
    said = verify(binary, case, store, folder)
    tried = "; ".join(f"level {c['level']} {c['value']} {c['verdict']}" for c in said["candidates"])
    candidate = f"level {said['in_use']['level']}, {said['in_use']['value']} of {tried}"
    return Verified(by_default, said["healed"], candidate, judge.judge_healing(case, store))


def run(build, wanted):
    """{fault: Verified} of those of a build that `wanted` says yes to."""
    result = {}
    for program in programs:
        binary = os.path.join(os.environ["SELFHEAL_CORPUS"], build, program.name)
        for fault in filter(wanted, program.faults):
            folder = tempfile.mkdtemp(prefix="selfheal-corpus-")
            try:
                result[fault] = verified(binary, program, fault, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return result


def line(fault, one):
    if one is None:
        return f"  {str(fault):26} not recorded"
    return f"  {str(fault):26} {one.by_default.outcome:13} -> {one.afterwards.outcome:13} {'' if one.right else 'WRONG '}{one.candidate}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="append", choices=corpus.builds)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for build in options.build or corpus.builds:
        results = run(build, lambda fault: str(fault).startswith(options.only))
        print("\n".join(line(fault, one) for fault, one in results.items()))
        right = sum(one is not None and one.right for one in results.values())
        healed = sum(one is not None and one.healed for one in results.values())
        print(f"{build}: the right candidate in {right} of {len(results)}; one heals in {healed}", flush=True)


if __name__ == "__main__":
    main()
