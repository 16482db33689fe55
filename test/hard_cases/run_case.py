"""Runs one hard case: natively first, then with its region in the engine. See subject.h.

    run_case.py SUBJECT LIBRARY CASE

Both runs must have the output and the end that the case announces; the second one must have entered the region,
have been in the engine wherever the case asked, and have stayed there to the region's end unless the case says
that it may not. What failed is shown, with the command that replays it.
"""

import dataclasses
import os
import struct
import subprocess
import sys
import tempfile

TIMEOUT = 60


@dataclasses.dataclass
class Case:
    name: str
    regions: list
    status: int
    leaves: bool
    options: str
    output: bytes


@dataclasses.dataclass
class Facts:
    region_calls: int
    went_native: int
    asked: int
    missed_line: int


def describe(subject, name):
    text = subprocess.run([subject, "--describe", name], capture_output=True, timeout=TIMEOUT, check=True).stdout
    regions, status, signal, leaves, options, output = text.split(b"\n", 5)
    return Case(name, regions.decode().split(), -int(signal) if int(signal) else int(status), leaves == b"1",
                options.decode(), output)


def environment_of(case, subject, library, folder):
    """What the second run sees, on top of the first run's environment."""
    options = [f"region={os.path.basename(subject)}!{region}" for region in case.regions]
    options += [case.options] if case.options else []
    return {"LD_PRELOAD": library, "SELFHEAL_STORE": os.path.join(folder, "store"),
            "SELFHEAL_OPTIONS": ":".join(options)}


def run(case, subject, folder, extra):
    facts = os.path.join(folder, "facts")
    with open(facts, "wb") as file:
        file.write(bytes(32))
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SELFHEAL_")}
    result = subprocess.run([subject, case.name], env={**plain, "HARD_CASE_FACTS": facts, **extra},
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
    with open(facts, "rb") as file:
        return result, Facts(*struct.unpack("4Q", file.read(32)))


def problems_of(case, result):
    if result.returncode != case.status:
        yield f"ended with {result.returncode}, not {case.status}"
    if result.stdout != case.output:
        yield f"printed {result.stdout!r}, not {case.output!r}"


def engine_problems_of(case, facts):
    if facts.region_calls == 0:
        yield "the region was not entered"
    if facts.missed_line:
        yield f"not in the engine at line {facts.missed_line}"
    if facts.went_native and not case.leaves:
        yield "the region went native before its end"


def main():
    subject, library, name = sys.argv[1:]
    case = describe(subject, name)
    with tempfile.TemporaryDirectory(prefix="selfheal-hard-") as folder:
        native, _ = run(case, subject, folder, {})
        problems = [f"natively: {problem}" for problem in problems_of(case, native)]
        if not problems:
            extra = environment_of(case, subject, library, folder)
            result, facts = run(case, subject, folder, extra)
            problems = [*problems_of(case, result), *engine_problems_of(case, facts)]
            native = result
    for problem in problems:
        print(f"{name}: {problem}")
    if problems:
        print(native.stderr.decode(errors="replace"))
        print("replay: " + " ".join(f"{k}='{v}'" for k, v in environment_of(case, subject, library, "/tmp").items()),
              subject, name)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
