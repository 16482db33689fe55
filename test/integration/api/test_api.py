"""Programs that can be recompiled name their rescue points: include/selfheal/selfheal.h."""

import errno
import os
import signal
import subprocess

from servers import case, runtime

programs = os.environ["SELFHEAL_PROGRAMS"]


class Api(case.Case):
    def start(self, program, *arguments, preload=True, options=""):
        environment = self.store().environment(options)
        if not preload:
            del environment["LD_PRELOAD"]
        return subprocess.run([os.path.join(programs, program), *arguments], env=environment, capture_output=True,
                              text=True, timeout=60, check=False)

    def lines(self, program, *arguments, status=0, **how):
        run = self.start(program, *arguments, **how)
        self.assertEqual((run.returncode, run.stderr), (status, ""), run.stdout)
        return run.stdout.splitlines()

    def test_without_the_runtime_all_of_it_is_inert(self):
        self.assertEqual(self.lines("api_c", "present", preload=False), ["version 0 active 0 statistics -1"])
        self.assertEqual(self.lines("api_c", "refuse", preload=False),
                         [f"{what} -1 errno {errno.ENOSYS}" for what in ("null", "middle", "data", "size", "event")])
        self.assertEqual(self.lines("api_cpp", preload=False), ["length 4 -1", "ran 1 log 2", "caught thrown"])

    def test_with_it_preloaded_or_linked_it_is_there(self):
        self.assertEqual(self.lines("api_c", "present"), ["version 1 active 1 statistics 0"])
        self.assertEqual(self.lines("api_linked", "present", preload=False), ["version 1 active 1 statistics 0"])
        self.assertEqual(self.lines("api_c", "present", options="mode=off"), ["version 1 active 0 statistics 0"])

    def protected(self, program, **how):
        self.assertEqual(
            self.lines(program, "protect", status=-signal.SIGSEGV, **how),
            ["protect 0", "good 42 state 1000", f"bad -7 errno {errno.EBADMSG} state 1000",
             "event 0 null-access healed value -7 function 1", "again 0", "unprotect 0",
             f"unprotect -1 errno {errno.EINVAL}"])

    def test_a_protected_function_is_healed_at_its_first_fault(self):
        self.protected("api_c")

    def test_the_same_linked(self):
        self.protected("api_linked", preload=False)

    def test_nothing_is_healed_in_a_mode_that_does_not_heal(self):
        lines = self.lines("api_c", "protect", status=-signal.SIGSEGV, options="mode=observe")
        self.assertEqual(lines, [])  # stdout was never flushed: it died at the bad call

    def test_threads_call_while_others_patch(self):
        self.assertEqual(self.lines("api_c", "threads", options="heals-per-minute=0"),
                         ["protect 0", "wrong 0 heals 400"])

    def test_what_cannot_be_protected_is_refused(self):
        self.assertEqual(self.lines("api_c", "refuse"),
                         [f"{what} -1 errno {errno.EINVAL}" for what in ("null", "middle", "data", "size")] +
                         [f"event -1 errno {errno.ENOENT}"])

    def test_a_rescued_call_is_undone(self):
        self.assertEqual(self.lines("api_c", "rescue", options="heals-per-minute=0"),
                         ["good 0 state 1", "bad 1 state 0", "event 0 null-access", "descriptors 0"])

    def test_a_rescue_inside_another_goes_back_to_the_outer_one(self):
        self.assertEqual(self.lines("api_c", "nested"),
                         ["inner 0", "outer 0 state 2", "outer 1 state 0"])

    def test_a_handler_hears_of_a_heal_at_the_next_blocking_call(self):
        self.assertEqual(self.lines("api_c", "events"),
                         ["on_event 0", "protect 0", "before 0", "told of null-access", "after 1", "later 1",
                          "none 1"])

    def test_cpp(self):
        self.assertEqual(self.lines("api_cpp"),
                         ["length 4 -1", "ran 1 log 2", "caught thrown",
                          "ran 0 told null-access log 2 lock 1"])


if __name__ == "__main__":
    case.main()
