"""A loop in a sandbox without rt_sigreturn is noticed: each tick leaves the signal mask as it was."""

import os
import subprocess
import time

from servers import case

program = os.environ["SELFHEAL_SANDBOXED"]
options = "hang-seconds=0.4:hang-scope=all:report=never"


def processor_time(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rsplit(")", 1)[1].split()[11]) / os.sysconf("SC_CLK_TCK")


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
        deadline = time.monotonic() + 100
        while processor_time(process.pid) < 3 and time.monotonic() < deadline:
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        # In the middle of a tick more is blocked.
        while blocked(process.pid) != before:
            self.assertLess(time.monotonic(), deadline, "a tick has left signals blocked")
        process.kill()
        process.wait(30)
        region, = self.store().regions()
        self.assertEqual((region["function"], region["fault"]["kind"]), ("skip_zeroes", "time-out"))


if __name__ == "__main__":
    case.main()
