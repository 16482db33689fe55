"""A faulty program: without the runtime, at its first fault, and when the fault recurs.

    alone   it dies or hangs, as everywhere
    first   it dies or hangs the same way, and one fault is recorded
    second  what docs/faults.md says of that class: healed, or stopped
"""

import json
import subprocess

from . import case, runtime


class FaultyCase(case.Case):
    options = ""  # SELFHEAL_OPTIONS beyond the store's
    timeout = 60

    def start(self, command, options=None, environment=None, input=None):
        """Runs to the end; stdout and stderr as text."""
        if environment is None:
            environment = self.store().environment(self.options if options is None else options)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=self.timeout,
                              input=input, errors="replace", check=False)

    def alone(self, command, input=None):
        return self.start(command, environment=runtime.plain_environment(), input=input)

    def only_region(self):
        """The one region of the store, as `selfheal info --json` prints it."""
        region, = self.store().regions()
        return json.loads(self.store().cli("info", "--json", region["id"]))
