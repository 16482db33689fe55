"""What a healed call of a stripped program returns, told from library calls that fail and from other callers."""

import json
import os
import signal
import subprocess

from servers import case

program = os.environ["SELFHEAL_PROGRAM"]


class Values(case.Case):
    def session(self, *requests):
        """The answers of one process's life, and how it ended."""
        run = subprocess.run([program], input="".join(f"{r}\n" for r in requests), text=True, timeout=60,
                             env=self.store().environment("report=never:heals-per-minute=0:hang-seconds=0"),
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return run.stdout.splitlines(), run.returncode

    def last_heal(self):
        region, = self.store().regions()
        return json.loads(self.store().cli("info", "--json", region["id"]))["last_heal"]

    def test_a_fault_in_a_library_call_ends_as_its_failure_would(self):
        self.assertEqual(self.session("r0", "r2"), (["remember 0"], -signal.SIGSEGV))
        self.assertEqual(self.session("r0", "r1", "r2", "?"),
                         (["remember 0", "remember 1", "remember 12", "remembered 2"], 0))
        heal = self.last_heal()
        self.assertEqual((heal["value"], heal["value_reason"]),
                         ("0xc", "the function itself returns it when a library call fails"))

    def test_a_caller_that_says_nothing_gets_what_others_take_for_failure(self):
        self.assertEqual(self.session("p0", "p2"), (["floor 12, fence 48, roof 6"], -signal.SIGSEGV))
        self.assertEqual(self.session("p2", "p1", "p0"), (["no plan", "no plan", "floor 12, fence 48, roof 6"], 0))
        heal = self.last_heal()
        self.assertEqual((heal["value"], heal["value_reason"]),
                         ("0xffffffffffffffff", "other callers take it for failure"))


if __name__ == "__main__":
    case.main()
