"""The abort family: each told apart, blamed on the right function, healed or stopped as docs/faults.md says."""

import os
import signal
import subprocess
import unittest

from servers import case, faulty, symbols

program = os.environ["SELFHEAL_ABORTS"]
last_signal = os.environ["SELFHEAL_LAST_SIGNAL"]
text = "abcdefghij"
died = -signal.SIGABRT

# request: kind, blamed function, what of its message is recorded
healed = {
    "abort": ("abort", "do_abort", ""),
    "assert": ("assertion", "do_assert", "Assertion `strlen(text)"),
    "assert_perror": ("assertion", "do_assert_perror", "Unexpected error"),
    "raise": ("abort", "do_raise", "it sent itself the signal"),
    "kill": ("abort", "do_kill", "it sent itself the signal"),
    "die": ("abort", "do_die", ""),
    "overflow": ("fortify", "do_overflow", "*** buffer overflow detected ***: terminated"),
    "print": ("fortify", "do_print", "*** buffer overflow detected ***: terminated"),
    # The engine sees the store onto the canary, which the processor does not.
    "smash": ("smashed-stack", "do_smash", "*** stack smashing detected ***: terminated"),
    "throw": ("terminate", "do_throw", "uncaught exception of type shop::Trouble"),
    "throw_int": ("terminate", "do_throw_int", "uncaught exception of type int"),
    "pure": ("terminate", "do_pure", "no exception in flight"),
    "thread": ("terminate", "do_thread", "no exception in flight"),
    "length": ("terminate", "do_length", "uncaught exception of type std::out_of_range"),
}
# The program's integrity is lost, or may be: it dies every time.
stopped = {
    "heap": ("heap-corruption", "do_heap", "free(): invalid size"),
}
# Told apart here, healed by the remedies of test/faults/heap.
bad_frees = {
    "double_free": ("bad-free", "do_double_free", "double free"),
    "wild_free": ("bad-free", "do_wild_free", "free(): invalid pointer"),
}


class Server(faulty.FaultyCase):
    def requests(self, name, *options):
        return [program, *options, "good", name, f"{name}={text}", "good"]

    def die_twice(self, name, *options):
        """Alone and in a first run: the same death, the same words."""
        alone = self.alone(self.requests(name, *options))
        first = self.start(self.requests(name, *options))
        self.assertEqual(alone.returncode, died)
        self.assertEqual((first.returncode, first.stdout, first.stderr), (died, alone.stdout, alone.stderr))
        return alone

    def check_record(self, kind, function, message):
        region = self.only_region()
        fault = region["last_fault"]
        self.assertEqual(fault["kind"], kind)
        self.assertEqual(symbols.name_at(program, region["offset"]), function)
        self.assertIn(symbols.name_at(program, fault["site"]["offset"]), (function, f"{function}.cold"))
        self.assertRegex(fault["instruction"]["text"], "^(call|syscall)")
        self.assertIn(message, fault["detail"]["message"])
        self.assertEqual(fault["signal"], signal.SIGABRT)
        return region

    def check_healed(self, name, *options):
        second = self.start(self.requests(name, *options))
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(second.stderr, "")
        lines = second.stdout.splitlines()
        self.assertRegex(lines[2], rf"^{name}={text}: error, errno [1-9]\d* \(served 2\)$")
        self.assertEqual(lines[3], "good: done, errno 0 (served 3)")
        self.assertEqual(self.only_region()["outcomes"]["healed"], 1)

    def check_stopped(self, name, alone):
        # Left to itself the second run looks for the access that did it: test/faults/heap.
        second = self.start(self.requests(name), "heap-probe=never")
        self.assertEqual((second.returncode, second.stdout, second.stderr), (died, alone.stdout, alone.stderr))
        self.assertEqual(self.only_region()["outcomes"]["healed"], 0)


class Aborts(Server):
    def test_the_thrower_of_what_noexcept_stops_is_blamed(self):
        self.die_twice("noexcept")
        region = self.only_region()
        self.assertEqual(region["last_fault"]["kind"], "terminate")
        # clang's landing pad calls std::terminate itself: by then the thrower is unwound.
        self.assertRegex(symbols.name_at(program, region["offset"]), "throw_if|never_throws")
        second = self.start(self.requests("noexcept"))
        self.assertEqual((second.returncode, second.stderr), (0, ""))
        # throw_if returns nothing, and its caller goes on.
        self.assertRegex(second.stdout, rf"noexcept={text}: (done|error), errno \d+ \(served [23]\)")

    def test_nobody_is_blamed_for_a_jump_into_a_dead_frame(self):
        self.die_twice("jump")
        self.assertEqual(self.store().regions(), [])
        self.die_twice("jump")

    def test_on_a_second_thread(self):
        self.die_twice("assert", "--thread")
        self.check_record(*healed["assert"])
        self.check_healed("assert", "--thread")

    def test_dies_in_the_state_it_aborted_in(self):
        for name in ("abort", "assert", "smash", "double_free", "throw", "raise"):
            with self.subTest(name):
                said = self.start([last_signal, *self.requests(name)], options="mode=observe").stdout
                self.assertIn("deliveries 2, signal 6, siginfo same, registers same\n", said)

    def test_a_watchdog_s_abort_is_no_fault_of_the_program(self):
        server = subprocess.Popen([program, "--pause", "good"], env=self.store().environment(),
                                  stdout=subprocess.PIPE, text=True)
        try:
            while server.stdout.readline() != "ready\n":
                self.assertIsNone(server.poll())
            server.send_signal(signal.SIGABRT)
            self.assertEqual(server.wait(self.timeout), died)
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
        self.assertEqual(self.store().regions(), [])


class Handlers(Server):
    """The application deals with SIGABRT, or believes it does."""

    def same_as_alone(self, command):
        alone = self.alone(command)
        run = self.start(command)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (alone.returncode, alone.stdout, alone.stderr))
        return run

    def test_a_handler_that_jumps_has_recovered(self):
        for name in ("abort", "assert", "raise", "double_free", "overflow", "throw"):
            run = self.same_as_alone(self.requests(name, "--handler"))
            self.assertIn("jumped out of", run.stdout)
            self.assertEqual(run.returncode, 0)
        self.assertEqual(self.store().regions(), [])

    def test_a_handler_that_returns_does_not_stop_abort(self):
        run = self.same_as_alone(self.requests("assert", "--returns"))
        self.assertIn("handler\n", run.stdout)
        self.assertEqual(run.returncode, died)
        self.check_record(*healed["assert"])

    def test_a_handler_that_returns_does_stop_raise(self):
        run = self.same_as_alone(self.requests("raise", "--returns"))
        self.assertIn(f"handler\nraise={text}: done", run.stdout)
        self.assertEqual(self.store().regions(), [])

    def test_a_handler_that_ends_the_process_is_not_reached_again(self):
        """It died of raise(), so what is raised there is foreseen, handler or not."""
        run = self.same_as_alone(self.requests("raise", "--resigns"))
        self.assertIn("handler\n", run.stdout)
        self.assertEqual(run.returncode, died)
        self.check_healed("raise", "--resigns")

    def test_ignoring_it_does_not_stop_abort(self):
        self.assertEqual(self.same_as_alone(self.requests("abort", "--ignore")).returncode, died)
        self.check_record(*healed["abort"])

    def test_ignoring_it_does_stop_raise(self):
        self.assertEqual(self.same_as_alone(self.requests("raise", "--ignore")).returncode, 0)
        self.assertEqual(self.store().regions(), [])

    def test_blocking_it_does_not_stop_abort(self):
        self.assertEqual(self.same_as_alone(self.requests("abort", "--block")).returncode, died)
        self.check_record(*healed["abort"])

    def test_blocking_it_does_stop_raise(self):
        self.assertEqual(self.same_as_alone(self.requests("raise", "--block")).returncode, 0)
        self.assertEqual(self.store().regions(), [])

    def test_a_known_region_is_healed_before_the_handler_runs(self):
        self.die_twice("assert")
        second = self.start(self.requests("assert", "--returns"))
        self.assertEqual((second.returncode, second.stderr), (0, ""))
        self.assertNotIn("handler", second.stdout)


class Sandbox(Server):
    """A seccomp filter takes a system call away that the way to a record would use."""

    def run_without(self, call, name):
        command = self.requests(name, f"--sandbox={call}")
        alone = self.alone(command)
        run = self.start(command)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (alone.returncode, alone.stdout, alone.stderr))
        return run.returncode

    def test_tgkill_kills(self):
        for name in ("abort", "assert", "smash", "throw"):
            with self.subTest(name):
                self.assertEqual(self.run_without(234, name), -signal.SIGSYS)
                kind, function, _ = {**healed, **stopped}[name]
                region, = [r for r in self.store().regions() if r["fault"]["kind"] == kind]
                self.assertEqual(symbols.name_at(program, region["offset"]), function)

    def test_sigaction_kills(self):
        self.assertEqual(self.run_without(13, "assert"), died)
        self.check_record("assertion", "do_assert", "strlen(text) == 0")

    def test_healed_in_there(self):
        self.die_twice("assert")
        self.check_healed("assert", "--sandbox=234")


class RealPrograms(Server):
    def test_timeout_dies_as_its_child_did_and_means_it(self):
        command = ["/usr/bin/timeout", "60", program, f"abort={text}"]
        for _ in range(2):
            environment = self.store().environment("mode=observe")
            self.assertEqual(self.start(command, environment=environment).returncode, died)
        region = self.only_region()  # the child's
        self.assertEqual(symbols.name_at(program, region["offset"]), "do_abort")

    def test_python_goes_on_after_its_own_abort(self):
        python = "/usr/bin/python3"
        if not os.path.exists(python):
            self.skipTest("no /usr/bin/python3")
        code = "import os\ntry:\n  os.abort()\nexcept SystemError:\n  print('went on')"
        command = [python, "-S", "-c", code]
        self.assertEqual(self.alone(command).returncode, died)
        self.assertEqual(self.start(command).returncode, died)
        self.assertEqual(self.only_region()["last_fault"]["kind"], "abort")
        second = self.start(command)
        self.assertEqual((second.returncode, second.stdout), (0, "went on\n"), second.stderr)

    def free_with(self, allocator, signal_number):
        path = f"/usr/lib/x86_64-linux-gnu/{allocator}"
        if not os.path.exists(path):
            self.skipTest(f"no {path}")
        environment = self.store().environment()
        environment["LD_PRELOAD"] += f":{path}"
        first = self.start(self.requests("foreign_free"), environment=environment)
        self.assertEqual(first.returncode, -signal_number)

    def test_jemalloc_is_not_to_blame_for_what_it_is_called_with(self):
        self.free_with("libjemalloc.so.2", signal.SIGSEGV)
        region = self.only_region()
        self.assertEqual(symbols.name_at(program, region["offset"]), "do_foreign_free")

    def test_tcmalloc_s_abort(self):
        self.free_with("libtcmalloc_minimal.so.4", died * -1)
        self.check_record("heap-corruption", "do_foreign_free", "")


def add_rows():
    def healing(name, row):
        def test(self):
            self.die_twice(name)
            self.check_record(*row)
            self.check_healed(name)
        return test

    def stopping(name, row):
        def test(self):
            alone = self.die_twice(name)
            self.check_record(*row)
            self.check_stopped(name, alone)
        return test

    def recording(name, row):
        def test(self):
            self.die_twice(name)
            self.check_record(*row)
        return test

    for rows, kind_of_test in ((healed, healing), (stopped, stopping), (bad_frees, recording)):
        for name, row in rows.items():
            setattr(Rows, f"test_{name}", kind_of_test(name, row))


class Rows(Server):
    """One test a row; added below."""


add_rows()

if __name__ == "__main__":
    case.main()
