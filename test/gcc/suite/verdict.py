"""One case from its source to a verdict."""

import dataclasses
import shutil
import tempfile

from . import build, engine, isa

# In the order of the report. The first two are what counts.
passes = "passes"
fails = "FAILS"
no_proof = "NOT RUN BY THE ENGINE"
outside = "not for x86-64"
unsupported = "not supported by this processor"
unbuilt = "does not build"
fails_natively = "fails natively"
every = [passes, fails, no_proof, outside, unsupported, unbuilt, fails_natively]
bad = {fails, no_proof}

# Functions that end the process: what a program does in them, it always does natively.
_ends = (" exit", " _exit", " _Exit", " quick_exit")


@dataclasses.dataclass
class Result:
    name: str
    family: str
    verdict: str
    detail: str = ""
    instructions: int = 0
    reasons: list = dataclasses.field(default_factory=list)  # why the engine left code to the processor


def judge(case, setting):
    """`setting` has testsuite, work, library and flags."""
    if case.not_here:
        return Result(case.name, case.family, outside, case.not_here)
    missing = isa.missing(case.features, setting.flags)
    if missing:
        return Result(case.name, case.family, unsupported, " ".join(missing))
    program = build.program(case, setting.testsuite, setting.work)
    if program is None:
        return Result(case.name, case.family, unbuilt)
    folder = tempfile.mkdtemp(prefix="selfheal-gcc-")
    try:
        return _compare(case, program, setting.library, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compare(case, program, library, folder):
    alone = engine.natively(program, folder)
    if alone.status != 0:
        return Result(case.name, case.family, fails_natively, f"status {alone.status}")
    together, line = engine.in_engine(program, library, folder)
    if together != alone:
        return Result(case.name, case.family, fails, f"{_tell(alone)} natively, {_tell(together)} in the engine; "
                                                     f"program {program}", *_proof(line))
    if line is None or line["region_calls"] == 0 or line["instructions"] == 0:
        return Result(case.name, case.family, no_proof, f"program {program}")
    return Result(case.name, case.family, passes, "", *_proof(line))


def _proof(line):
    if line is None:
        return 0, []
    early = [r for r in line["reasons"] if not r["at"].endswith(_ends)]
    return line["instructions"], [f"{r['reason']} at {r['at']}" for r in early]


def _tell(seen):
    return f"status {seen.status}, {len(seen.out)}+{len(seen.err)} bytes of output {seen.err[-200:]!r}"
