"""A heal that leads to the next fault: a function further out fails at once, in the process's place."""

import json
import os
import signal
import subprocess

from servers import case

program = os.environ["SELFHEAL_PROGRAM"]
options = "report=never:heals-per-minute=0:hang-seconds=0:hang-instructions=100000:escalate=yes"
good, refused = "7", "-1"


class Escalation(case.Case):
    def session(self, *requests, options=options):
        """The answers of one process's life, and how it ended."""
        done = subprocess.run([program], env=self.store().environment(options), text=True, timeout=60, check=False,
                              input="".join(request + "\n" for request in requests), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        return done.stdout.split(), done.returncode

    def recorded(self, request):
        """The region of look(), after one process has died of the request."""
        self.assertNotEqual(self.session(request)[1], 0)
        return self.region()["id"]

    def region(self):
        region, = self.store().regions()
        self.assertEqual(region["function"], "look", "what a heal led to is held against the heal, and no region")
        return region

    def candidates(self):
        found = json.loads(self.store().cli("info", "--json", self.region()["id"]))["candidates"]
        return {c["function"]: c for c in found if c["value"] == "auto"}

    def begin_with_the_faulting_function(self, request):
        """Whatever is known of the others: that is another test's."""
        self.assertNotEqual(self.session(request, options=options + ":weigh-levels=no")[1], 0)
        self.assertTrue(self.candidates()["look"]["in_use"])

    def escalates(self, verb, *tried, fails):
        self.begin_with_the_faulting_function(f"{verb} bug")
        self.assertEqual(self.session(f"{verb} nut", f"{verb} bug", "stock", f"{verb} nut", f"{verb} bug", "stock"),
                         ([good, refused, "0", good, refused, "0"], 0))
        found = self.candidates()
        for function in tried:
            self.assertGreaterEqual(found[function]["again"], 1, function)
            self.assertEqual(found[function]["stuck"], 0, function)
        self.assertEqual((found[fails]["stuck"], found[fails]["again"]), (2, 0))
        self.assertTrue(found[fails]["in_use"])

    def test_the_caller_faults(self):
        self.escalates("read", "look", fails="price_of")

    def test_one_level_after_the_other_in_one_request(self):
        self.escalates("twice", "look", "look_again", fails="read_twice")

    def test_the_caller_aborts(self):
        self.escalates("assert", "look", fails="insist")

    def test_the_caller_computes_for_ever(self):
        self.escalates("spin", "look", fails="wait_for")

    def test_the_caller_calls_for_ever(self):
        self.escalates("again", "look", fails="try_on")

    def test_threads(self):
        self.begin_with_the_faulting_function("read bug")
        self.assertEqual(self.session("crowd bug", "stock", "crowd bug", "stock", "read nut"),
                         (["8", "0", "8", "0", good], 0))
        self.assertEqual(self.candidates()["price_of"]["again"], 0)

    def test_what_comes_to_grief_outside_of_them_all_is_the_end_of_the_process(self):
        self.begin_with_the_faulting_function("late bug")
        self.assertEqual(self.session("late bug")[1], -signal.SIGSEGV)
        self.assertEqual(self.candidates()["look"]["again"], 1)

    def test_functions_further_out_are_left_alone_once_heals_stick(self):
        self.begin_with_the_faulting_function("read bug")
        ready = lambda: [name for name, c in self.candidates().items() if c["ready"]]
        self.assertEqual(ready(), ["price_of", "read_price"])
        log = os.path.join(self.folder, "statistics")

        def instructions(*requests):
            """That one call of read_price takes in the engine, by the process's own count."""
            if os.path.exists(log):
                os.remove(log)
            self.session(*requests, options=f"{options}:statistics={log}")
            with open(log, encoding="ascii") as file:
                return json.loads(file.readline())["instructions"]

        before = instructions("read nut")
        self.assertEqual(self.session(*["read bug"] * 3), ([refused] * 3, 0))
        self.assertEqual(ready(), ["read_price"], "three are not enough")
        self.assertEqual(self.session("read bug", "stock"), ([refused, "0"], 0))
        self.assertEqual(ready(), [])
        self.assertLess(instructions("read nut"), before)

    def test_functions_further_out_are_left_alone_after_many_calls_without_a_fault(self):
        self.begin_with_the_faulting_function("read bug")
        many = 20_000  # half of it for read_price, the rest for price_of
        self.assertEqual(self.session(*["read nut"] * many, "read bug"), ([good] * many, -signal.SIGSEGV))
        self.assertEqual(self.session(*["read nut"] * 1000, "read bug"), ([good] * 1000 + [refused], 0))

    def test_on_another_stack_the_caller_is_a_region_of_its_own(self):
        self.begin_with_the_faulting_function("read bug")
        self.assertEqual(self.session(*["read bug"] * 4), ([refused] * 4, 0))
        self.assertTrue(self.candidates()["price_of"]["in_use"])
        self.assertEqual(self.session("twice bug")[1], -signal.SIGSEGV, "price_of is not there to fail")
        self.assertEqual({region["function"] for region in self.store().regions()}, {"look", "look_again"})
        self.assertEqual(self.session("twice bug", "twice nut", "read bug", "stock"), ([refused, good, refused, "0"], 0))

    def test_an_endless_loop_inside_costs_a_rescue_point_nothing(self):
        watching = options + ":hang-seconds=0.2:hang-scope=all:hang-action=abort"
        self.assertEqual(self.session("ponder bug")[1], -signal.SIGSEGV)
        self.store().cli("set", self.region()["id"], "--level", "2")  # price_after_all
        self.assertEqual(self.session("ponder riddle", options=watching)[1], -signal.SIGABRT)
        loop, = (region for region in self.store().regions() if region["function"] == "ponder")
        self.store().cli("set", loop["id"], "--level", "0")
        self.assertEqual(self.session("ponder riddle", "stock", "ponder nut"), ([refused, "0", good], 0))

    def test_not_where_the_user_has_chosen(self):
        self.begin_with_the_faulting_function("read bug")
        self.store().cli("set", self.region()["id"], "--level", "0")
        self.assertEqual(self.session("read bug")[1], -signal.SIGSEGV)

    def test_not_when_it_is_not_wanted(self):
        self.begin_with_the_faulting_function("read bug")
        self.assertEqual(self.session("read bug", options=options + ":escalate=no")[1], -signal.SIGSEGV)
        self.assertEqual(self.session("read bug"), ([refused], 0))

    def test_a_function_whose_faults_are_not_to_be_healed_does_not_fail_for_others(self):
        self.begin_with_the_faulting_function("read bug")
        self.store().policy('[[rule]]\nfunction = "price_of"\nmode = "observe"\n')
        self.assertEqual(self.session("read bug", "stock"), ([refused, "0"], 0))
        found = self.candidates()
        self.assertTrue(found["price_of"]["unfit"])
        self.assertEqual(found["read_price"]["stuck"], 1)


if __name__ == "__main__":
    case.main()
