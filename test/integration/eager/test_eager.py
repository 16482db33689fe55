"""mode=eager: a first fault is survived, and the frames it leaves clean up behind themselves."""

import os
import signal

from servers import case, faulty

program = os.environ["SELFHEAL_EAGER"]
handlers = os.environ["SELFHEAL_EAGER_HANDLERS"]


class EagerCase(faulty.FaultyCase):
    options = "mode=eager"

    def said(self, *requests):
        run = self.start([self.program, *requests])
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return run.stdout.splitlines()

    def clean_ups(self):
        heal = self.only_region()["last_heal"]
        self.assertEqual(heal["outcome"], "recovered by unwinding")
        return heal["actions_undone"]


class Eager(EagerCase):
    program = program

    def test_alone_it_dies(self):
        for request in ("of_its_own", "in_libc", "two_frames", "that_catches", "that_never_throws"):
            self.assertEqual(self.alone([program, request]).returncode, -signal.SIGSEGV, request)

    def test_locks_and_objects_of_the_function_at_fault(self):
        self.assertEqual(self.said("of_its_own"), ["of_its_own: refused, 0 held, 0 wrong, free"])
        self.assertEqual(self.clean_ups(), 2)  # a frame's, which releases the lock

    def test_the_fault_is_in_libc(self):
        self.assertEqual(self.said("in_libc"), ["in_libc: refused, 0 held, 0 wrong, free"])
        self.assertEqual(self.clean_ups(), 2)

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


class HandlersOfC(EagerCase):
    program = handlers

    def test_alone_it_dies(self):
        for request in ("locked", "one_handler", "handlers_of_two", "a_thread_ends"):
            self.assertEqual(self.alone([handlers, request]).returncode, -signal.SIGSEGV, request)

    def test_nothing_held(self):
        self.assertEqual(self.said("first_letter"), ["first_letter: refused, 0 locked, said: "])
        self.assertEqual(self.clean_ups(), 0)

    def test_its_own_lock_is_released(self):
        self.assertEqual(self.said("locked"), ["locked: refused, 0 locked, said: "])
        self.assertEqual(self.clean_ups(), 1)

    def test_as_often_as_it_is_held(self):
        self.assertEqual(self.said("locked_twice"), ["locked_twice: refused, 0 locked, said: "])
        self.assertEqual(self.clean_ups(), 3)

    def test_the_callers_lock_stays(self):
        self.assertEqual(self.said("callers_stays"), ["callers_stays: refused, 0 locked, said: "])
        self.assertEqual(self.clean_ups(), 1)

    def test_a_handler_runs_and_its_lock_is_not_released_again(self):
        self.assertEqual(self.said("one_handler"), ["one_handler: refused, 0 locked, said: "])

    def test_handlers_of_two_frames_run_from_the_inside(self):
        self.assertEqual(self.said("handlers_of_two"), ["handlers_of_two: refused, 0 locked, said: third second first "])
        self.assertEqual(self.clean_ups(), 3)

    def test_the_callers_handler_waits_for_its_turn(self):
        self.assertEqual(self.said("callers_handler_stays"), ["callers_handler_stays: refused, 0 locked, said: goes on caller's "])

    def test_libc_still_ends_threads(self):
        self.assertEqual(self.said("a_thread_ends"), ["a_thread_ends: refused, 0 locked, said: ended "])

    def test_the_next_fault_is_rolled_back(self):
        first, second = self.said("locked", "locked")
        self.assertEqual(first, second)
        self.assertEqual(self.only_region()["last_heal"]["outcome"], "healed")


if __name__ == "__main__":
    case.main()
