"""Functions that one kind of request executes, drawn by seed from what `selfheal campaign` finds under a tracer.

Only such as nothing executes before the first request: what the server's start needs, and its service loop, are no
examples of functions that a request runs into a bug in.
"""

import json
import os
import re
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
stock = os.path.join(here, "..", "..", "campaign", "stock.py")


class Functions:
    """Of a server of campaign/stock.py, with a workload of one's own."""

    def __init__(self, server, workload, folder):
        self._output = os.path.join(folder, f"{server}.json")
        self._command = [sys.executable, stock, server, "campaign", "--workload", workload, "--faults", "null",
                         "--output", self._output, "--list"]

    def in_order(self, seed):
        """MODULE!NAME or MODULE+0xOFFSET, as the option `region` has them."""
        run = subprocess.run([*self._command, "--seed", str(seed)], capture_output=True, text=True, timeout=300, check=False)
        if run.returncode != 0:
            raise RuntimeError(run.stdout + run.stderr)
        lines = [line.split("\t") for line in run.stdout.splitlines() if line.count("\t") == 3]
        return [_region(place, function) for place, where, seen, function in lines if (where, seen) == ("entry", "serving")]

    def builds(self):
        """The files that they are from, with the first digits of their build-ids; after `in_order`."""
        with open(self._output + ".d/study.json", encoding="utf-8") as file:
            return ", ".join(f"{os.path.basename(path)} {build[:8]}" for path, build in json.load(file)["build_ids"].items())


def _region(place, function):
    module = place.rpartition("+0x")[0]
    stripped = re.fullmatch(r"function at (0x[0-9a-f]+)", function)
    return f"{module}+{stripped.group(1)}" if stripped else f"{module}!{function}"
