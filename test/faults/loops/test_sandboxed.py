"""A loop in a sandbox without rt_sigreturn is noticed: each tick leaves the signal mask as it was."""

import os
import subprocess

from servers import case
from servers.process import processor_time, wait_for

program = os.environ["SELFHEAL_SANDBOXED"]
options = "hang-seconds=0.4:hang-scope=all:report=never"


def blocked(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("SigBlk:"))


class Sandboxed(case.Case):
    def test_a_loop_is_recorded(self):
        process = subprocess.Popen([program], env=self.store().environment(options), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), "looping\n")
        before = blocked(process.pid)
        wait_for(lambda: process.poll() is not None or processor_time(process.pid) >= 3, "it computes", 100)
        self.assertIsNone(process.poll())
        # In the middle of a tick more is blocked.
        wait_for(lambda: blocked(process.pid) == before, "no signals are blocked that were not: a tick left them so")
        process.kill()
        process.wait(30)
        region, = self.store().regions()
        self.assertEqual((region["function"], region["fault"]["kind"]), ("skip_zeroes", "time-out"))


if __name__ == "__main__":
    case.main()
