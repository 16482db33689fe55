"""Runs a program's script natively and with its regions in the engine, in the same folder, and compares."""

import dataclasses
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess

from . import inputs


# Functions that end the process: what a program does in them, it always does natively.
_ends = (" exit", " _exit", " _Exit", " quick_exit")


@dataclasses.dataclass
class Run:
    status: object
    out: str
    err: str
    files: dict  # path -> (mode, content)
    statistics: list


@dataclasses.dataclass
class Verdict:
    name: str
    problem: str = ""
    instructions: int = 0
    reasons: dict = dataclasses.field(default_factory=dict)  # text -> times it left code to the processor
    processes: int = 0   # that ran in the engine
    seconds: tuple = (0.0, 0.0)


def clean_environment():
    """Not a compiler cache's either: what stands in for gcc would find that there is nothing to compile."""
    return {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("SELFHEAL_")} | {
        "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC",
        "CCACHE_DISABLE": "1"}


def engine_environment(program, library, folder):
    options = "".join(f"region={name if '!' in name else name + '!main'}:" for name in program.regions)
    return {"LD_PRELOAD": library, "SELFHEAL_STORE": os.path.join(folder, "store"),
            "SELFHEAL_OPTIONS": f"{options}statistics={folder}/statistics:log-megabytes=4096:report=never"}


def _tree(folder, unstable):
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            full = os.path.join(path, name)
            relative = os.path.relpath(full, folder)
            if any(fnmatch.fnmatch(relative, pattern) for pattern in unstable):
                continue
            if os.path.islink(full):
                found[relative] = ("link", os.readlink(full).encode())
            else:
                with open(full, "rb") as file:
                    found[relative] = (os.stat(full).st_mode, file.read())
    return found


def _quiet(text, noise):
    for pattern in noise:
        text = re.sub(pattern, "", text)
    return text


def execute(program, prepared, folder, extra, seconds):
    """One run in a fresh copy of the prepared folder, always at the same path."""
    place = os.path.join(folder, "run")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(prepared, place)
    inputs.choose_port(place)
    # In a session of its own, so that whatever a failed script leaves behind can be ended.
    process = subprocess.Popen(["sh", "-eu", "-c", program.script], cwd=place, env=clean_environment() | extra,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)
    try:
        out, err = process.communicate(timeout=seconds)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        status = f"timeout after {seconds} s"
    os.remove(os.path.join(place, "port"))
    statistics = os.path.join(folder, "statistics")
    lines = []
    if os.path.exists(statistics):
        with open(statistics, encoding="ascii") as file:
            lines = [json.loads(line) for line in file]
        os.remove(statistics)
    return Run(status, _quiet(out.decode(errors="replace"), program.noise),
               _quiet(err.decode(errors="replace"), program.noise), _tree(place, program.unstable), lines)


def _difference(alone, together):
    for what in "status", "out", "err":
        a, b = getattr(alone, what), getattr(together, what)
        if a != b:
            if what == "status":
                return f"status {a} natively, {b} in the engine; {together.err[-300:]!r}"
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            return f"{what} differs at {at}: {a[at:at + 150]!r} natively, {b[at:at + 150]!r} in the engine"
    for path in sorted(alone.files.keys() | together.files.keys()):
        if alone.files.get(path) != together.files.get(path):
            return f"the file {path} differs"
    return ""


def judge(program, alone, together):
    verdict = Verdict(program.name)
    for line in together.statistics:
        verdict.instructions += line["instructions"]
        verdict.processes += line["region_calls"] > 0
        for reason in line["reasons"]:
            if reason["at"].endswith(_ends):
                continue
            text = f"{reason['reason']} ({line['program']}: {reason['at']})"
            verdict.reasons[text] = verdict.reasons.get(text, 0) + reason["count"]
    if alone.status != 0:
        verdict.problem = f"does not even run natively: status {alone.status}; {alone.err[-300:]!r}"
        return verdict
    verdict.problem = _difference(alone, together)
    if not verdict.problem and verdict.instructions < program.instructions:
        verdict.problem = f"only {verdict.instructions} instructions were run by the engine, not {program.instructions}"
    return verdict
