"""A region that does random things and faults at a random point leaves no trace, with any heap."""

import json
import os
import re
import signal
import subprocess

from servers import case, runtime

subject = os.environ["SELFHEAL_ROLLBACK_SUBJECT"]
threads = os.environ["SELFHEAL_ROLLBACK_THREADS"]
overflow = os.environ["SELFHEAL_ROLLBACK_OVERFLOW"]
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


class Threads(case.Case):
    """Beside threads at full speed; nobody waits for ever: the time-out is the deadline."""

    def run_threads(self, *arguments, **more):
        options = ("region=rollback_threads!region:region=rollback_threads!region_once:"
                   "heals-per-minute=0:report=never")
        environment = {**self.store().environment(options), **more}
        if "LD_PRELOAD" in more:
            environment["LD_PRELOAD"] = f"{runtime.library}:{more['LD_PRELOAD']}"
        run = subprocess.run([threads, *arguments], env=environment, capture_output=True, text=True, timeout=100,
                             check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stderr

    def test_counters_locks_and_heap_beside_a_region(self):
        print(self.run_threads("soak", "1", "5000"))

    def test_beside_a_region_with_a_heap_that_checks_itself(self):
        print(self.run_threads("soak", "2", "1500", LD_PRELOAD=checking, MALLOC_CHECK_="3"))

    def test_who_waits_for_an_initialization_that_is_rolled_back_makes_it(self):
        self.assertIn("initialized 1 times", self.run_threads("once"))
        self.assertIn("initialized 1 times", self.run_threads("guard"))

    def test_who_waits_for_a_futex_of_the_program_gets_it(self):
        self.run_threads("futex")


class Overflow(case.Case):
    def run_overflow(self, *arguments):
        store = self.store()
        options = "region=rollback_overflow!region:log-megabytes=1:report=always"
        run = subprocess.run([overflow, *arguments], env=store.environment(options), capture_output=True, text=True,
                             timeout=60, check=False)
        return run, store

    def test_a_full_log_costs_the_protection_of_that_call_only_and_is_told_once(self):
        run, _ = self.run_overflow()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stderr.count("goes on unprotected"), 1, run.stderr)
        self.assertEqual(run.stderr.count(" healed: "), 4, run.stderr)

    def test_a_fault_after_the_log_was_full_ends_the_process_and_is_recorded(self):
        run, store = self.run_overflow("die")
        self.assertEqual(run.returncode, -signal.SIGSEGV, run.stderr)
        self.assertEqual(run.stdout, "")
        region, = store.regions()
        self.assertEqual(region["faults"], 1)
        info = json.loads(store.cli("info", "--json", region["id"]))
        self.assertEqual(info["outcomes"]["unprotected"], 1)
        self.assertEqual(info["outcomes"]["healed"], 4)


if __name__ == "__main__":
    case.main()
