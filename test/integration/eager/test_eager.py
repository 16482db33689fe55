"""mode=eager: a first fault is survived, and the frames it leaves clean up behind themselves."""

import os
import signal

from servers import case, faulty

program = os.environ["SELFHEAL_EAGER"]


class Eager(faulty.FaultyCase):
    options = "mode=eager"

    def said(self, *requests):
        run = self.start([program, *requests])
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return run.stdout.splitlines()

    def clean_ups(self):
        heal = self.only_region()["last_heal"]
        self.assertEqual(heal["outcome"], "recovered by unwinding")
        return heal["actions_undone"]

    def test_alone_it_dies(self):
        for request in ("of_its_own", "in_libc", "two_frames", "that_catches", "that_never_throws"):
            self.assertEqual(self.alone([program, request]).returncode, -signal.SIGSEGV, request)

    def test_locks_and_objects_of_the_function_at_fault(self):
        self.assertEqual(self.said("of_its_own"), ["of_its_own: refused, 0 held, 0 wrong, free"])
        self.assertEqual(self.clean_ups(), 1)

    def test_the_fault_is_in_libc(self):
        self.assertEqual(self.said("in_libc"), ["in_libc: refused, 0 held, 0 wrong, free"])
        self.assertEqual(self.clean_ups(), 1)

    def test_each_frame_that_is_left_cleans_up(self):
        self.assertEqual(self.said("two_frames"), ["two_frames: refused, 0 held, 0 wrong, free"])
        self.assertEqual(self.clean_ups(), 2)

    def test_who_would_catch_is_left_without(self):
        self.assertEqual(self.said("that_catches"), ["that_catches: refused, 0 held, 0 wrong, free"])
        self.assertEqual(self.clean_ups(), 0)

    def test_a_function_that_may_not_throw_does_not_end_the_program(self):
        line, = self.said("that_never_throws")
        self.assertRegex(line, "that_never_throws: refused, [01] held, 0 wrong, free")

    def test_the_next_fault_is_rolled_back(self):
        first, second = self.said("of_its_own", "of_its_own")
        self.assertEqual(first, second)
        self.assertEqual(self.only_region()["last_heal"]["outcome"], "healed")


if __name__ == "__main__":
    case.main()
