"""A region that does random things and faults at a random point leaves no trace, with any heap."""

import os
import re
import subprocess

from servers import case, runtime

subject = os.environ["SELFHEAL_ROLLBACK_SUBJECT"]
libraries = "/usr/lib/x86_64-linux-gnu"
jemalloc = f"{libraries}/libjemalloc.so.2"
tcmalloc = f"{libraries}/libtcmalloc_minimal.so.4"
checking = f"{libraries}/libc_malloc_debug.so.0"


class Rollback(case.Case):
    def run_subject(self, environment, seed, calls, *more):
        command = [subject, self.folder, str(seed), str(calls), *more]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
        again = " ".join(f"{k}='{environment[k]}'" for k in sorted(environment)
                         if k.startswith(("SELFHEAL_", "SUBJECT_", "MALLOC_", "LD_")))
        self.assertEqual(run.returncode, 0, f"{run.stderr}\nagain: env {again} {' '.join(command)}")
        found = re.search(r"(\d+) heals, \d+ without; resident (\S+) KiB, heap (\S+) bytes", run.stderr)
        self.assertIsNotNone(found, run.stderr)
        return run.stdout, *(int(number) for number in found.groups())

    def check(self, seed, calls, preload=None, **more):
        store = self.store()
        options = "region=rollback_subject!region:heals-per-minute=0:report=never"
        environment = {**store.environment(options), **more}
        if preload:
            self.assertTrue(os.path.exists(preload), f"{preload} is missing: scripts/dependencies test")
            environment["LD_PRELOAD"] += ":" + preload
        native, _, _, native_growth = self.run_subject(runtime.plain_environment(), seed, calls, "skip")
        healed, heals, resident, growth = self.run_subject(environment, seed, calls)
        print(f"seed {seed}: {heals} heals, resident {resident:+} KiB, heap {growth:+} bytes "
              f"({native_growth:+} natively)")
        self.assertEqual(healed, native, f"seed {seed}: what was done differs")
        self.assertGreater(heals, calls // 2)
        return heals, resident, growth - native_growth

    def test_nothing_remains_of_a_thousand_heals(self):
        heals, resident, growth = self.check(5, 1300)
        self.assertGreater(heals, 1000)
        # Descriptors and mappings are compared by the subject after every heal.
        self.assertLess(resident, 6 * 1024)
        self.assertLess(growth, 300_000)

    def test_other_random_numbers(self):
        for seed in (1, 2, 3):
            with self.subTest(seed=seed):
                self.check(seed, 150)

    def test_with_jemalloc(self):
        self.check(11, 150, jemalloc, SUBJECT_OTHER_HEAP="1")

    def test_with_tcmalloc(self):
        self.check(12, 150, tcmalloc, SUBJECT_OTHER_HEAP="1")

    def test_with_a_heap_that_checks_itself(self):
        self.check(13, 150, checking, MALLOC_CHECK_="3")


if __name__ == "__main__":
    case.main()
