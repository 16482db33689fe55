"""A million heals in one process: what it holds does not grow."""

import os
import subprocess

from servers import case

program = os.environ["SELFHEAL_ENDURANCE"]
faults = ("null", "divide", "abort", "trap", "thread")
# Attackers are not what is looked at here, so the breaker is off.
options = "heals-per-minute=0:heals-per-group=0"


class Endurance(case.Case):
    def test_nothing_grows(self):
        for fault in faults:
            died = subprocess.run([program, fault], env=self.store().environment(), timeout=60, check=False)
            self.assertLess(died.returncode, 0, fault)
        self.assertEqual(len(self.store().regions()), len(faults))
        for heals, threads in ((1_000_000, 1), (200_000, 4)):
            with self.subTest(threads=threads):
                self.serve(heals, threads)

    def serve(self, heals, threads):
        run = subprocess.run([program, str(heals), str(threads)], env=self.store().environment(options),
                             capture_output=True, text=True, timeout=250, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        held = [list(map(int, line.split())) for line in run.stdout.splitlines()]
        print(f"{threads} threads: after {held[0][0]} heals {held[0][1:]}, after {held[-1][0]} {held[-1][1:]} "
              "(descriptors, threads, mappings, KiB)")
        self.assertEqual(held[-1][0], heals)
        first, last = held[1], held[-1]  # the first round warms up
        self.assertEqual(last[1:3], first[1:3])
        self.assertLessEqual(last[3] - first[3], 20)  # arenas and stacks, for threads that had not met before
        self.assertLessEqual(last[4] - first[4], 1024)


if __name__ == "__main__":
    case.main()
