"""Overflows that reach a canary or a return address, a return that was redirected, a jump to data:
alone, first run, second run (docs/faults.md)."""

import os
import signal
import subprocess

from servers import case, faulty

program = os.environ["SELFHEAL_INTEGRITY"]
too_long = "A" * 100  # 8 of them are no canonical address
canonical = "A" * 46  # the return address is overwritten by a canonical one in part


class Integrity(faulty.FaultyCase):
    options = "report=always"

    def serve(self, handler, request, options=None):
        return self.start([program, handler, "good", request, "good"], options)

    def recorded(self, kind):
        region = self.only_region()
        self.assertEqual(region["fault"]["kind"] if "fault" in region else region["kind"], kind)
        self.assertTrue(region["security_event"])
        self.assertIn("security event", self.store().cli("list"))
        return region

    def refused_the_second_time(self, handler, kind, death, request=too_long):
        alone = self.alone([program, handler, "good", request, "good"])
        self.assertEqual(alone.returncode, -death, alone.stdout)
        first = self.serve(handler, request)
        self.assertEqual((first.returncode, first.stdout), (-death, "accepted\n"), first.stderr)
        self.assertIn("a security event", first.stderr)
        region = self.recorded(kind)
        second = self.serve(handler, request)
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(second.stdout, "accepted\nrefused\naccepted\nend\n")
        self.assertIn("overwrite a saved return address", second.stderr)
        print(f"\n{handler}: alone {alone.returncode}, first {first.returncode} {kind}, "
              f"second {second.stdout.split()}")
        return region

    def test_strcpy_over_a_canary(self):
        self.refused_the_second_time("with_strcpy", "smashed-stack", signal.SIGABRT)

    def test_a_loop_over_a_canary(self):
        self.refused_the_second_time("with_loop", "smashed-stack", signal.SIGABRT)

    def test_the_kernel_over_a_canary(self):
        self.refused_the_second_time("with_read", "smashed-stack", signal.SIGABRT)

    def test_formatted_output_over_a_canary(self):
        self.refused_the_second_time("with_sprintf", "smashed-stack", signal.SIGABRT)

    def test_a_return_address_overwritten_by_no_address(self):
        self.refused_the_second_time("without_canary", "return-mismatch", signal.SIGSEGV)

    def test_a_return_address_overwritten_by_that_of_nothing(self):
        self.refused_the_second_time("without_canary", "return-mismatch", signal.SIGSEGV, canonical)

    def test_a_return_address_overwritten_by_a_callee(self):
        self.refused_the_second_time("through_callee", "return-mismatch", signal.SIGSEGV)

    def region_of(self, function):
        for line in subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.splitlines():
            words = line.split()
            if words[-1] == function:
                return f"region={os.path.basename(program)}+0x{int(words[0], 16):x}"
        raise AssertionError(f"no function {function}")

    def test_a_redirected_return_kills_instead_of_reaching_its_target(self):
        alone = self.alone([program, "one_word", "good", too_long])
        self.assertEqual((alone.returncode, alone.stdout), (3, "accepted\nHIJACKED\n"))
        run = self.serve("one_word", too_long, "report=always:" + self.region_of("one_word"))
        self.assertEqual(run.returncode, -signal.SIGSEGV, run.stdout + run.stderr)
        self.assertEqual(run.stdout, "accepted\n")
        self.recorded("return-mismatch")
        print(f"\none_word: alone HIJACKED, in a region {run.returncode} return-mismatch")
        # Named by its record from now on: the same, by default; the user may have it refused.
        again = self.serve("one_word", too_long)
        self.assertEqual((again.returncode, again.stdout), (-signal.SIGSEGV, "accepted\n"))
        self.store().cli("set", self.only_region()["id"], "--policy", "heal")
        healed = self.serve("one_word", too_long)
        self.assertEqual(healed.stdout, "accepted\nrefused\naccepted\nend\n", healed.stderr)

    def test_a_call_of_data_stops_every_time(self):
        for _ in range(3):
            run = self.serve("calls_data", too_long)
            self.assertEqual(run.returncode, -signal.SIGSEGV)
        region = self.recorded("exec-violation")
        self.assertEqual(region["policy"], "stop")
        self.store().cli("set", region["id"], "--policy", "heal")
        healed = self.serve("calls_data", too_long)
        # A good request is one for puts().
        self.assertEqual(healed.stdout, "good\naccepted\nrefused\ngood\naccepted\nend\n", healed.stderr)
        print("\ncalls_data: -11 each time, exec-violation, policy stop; with policy heal refused")

    def test_memory_closed_by_a_protection_key_stops_every_time(self):
        run = self.serve("reads_locked", too_long)
        if run.returncode == 77:
            self.skipTest("this processor, or kernel, has no protection keys")
        for _ in range(2):
            run = self.serve("reads_locked", too_long)
            self.assertEqual(run.returncode, -signal.SIGSEGV)
        self.assertEqual(self.recorded("protection-key")["policy"], "stop")


if __name__ == "__main__":
    case.main()
