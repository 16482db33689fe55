"""Runs a program natively and with `main` as a region, and compares what can be seen of it."""

import dataclasses
import json
import os
import subprocess

seconds = 120


@dataclasses.dataclass(frozen=True)
class Seen:
    status: object  # exit status, -signal, or "timeout"
    out: bytes = b""
    err: bytes = b""


def _observe(command, environment, folder):
    try:
        run = subprocess.run(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                             timeout=seconds, check=False)
        return Seen(run.returncode, run.stdout, run.stderr)
    except subprocess.TimeoutExpired:
        return Seen("timeout")


def _environment():
    return {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("SELFHEAL_")}


def natively(program, folder):
    return _observe([program], _environment(), folder)


def in_engine(program, library, folder):
    """What was seen, and the process's line of statistics (None when it left none)."""
    statistics = os.path.join(folder, "statistics")
    if os.path.exists(statistics):
        os.remove(statistics)
    options = f"region={os.path.basename(program)}!main:statistics={statistics}:log-megabytes=1024:report=never"
    seen = _observe([program], {**_environment(), "LD_PRELOAD": library, "SELFHEAL_OPTIONS": options,
                                "SELFHEAL_STORE": os.path.join(folder, "store")}, folder)
    if not os.path.exists(statistics):
        return seen, None
    with open(statistics, encoding="ascii") as file:
        lines = [json.loads(line) for line in file]
    return seen, max(lines, key=lambda line: line["instructions"], default=None)
