"""Healed calls of a stripped C++ program that throw, as their function does where it refuses."""

import json
import os
import signal
import subprocess

from servers import case

program = os.environ["SELFHEAL_PROGRAM"]
refused = "refused: internal error"
because = "the function itself throws to refuse"


class Throws(case.Case):
    def session(self, *requests, options=""):
        """The answers of one process's life, and how it ended."""
        run = subprocess.run([program], input="".join(f"{r}\n" for r in requests), text=True, timeout=60,
                             env=self.store().environment("report=never:heals-per-minute=0:hang-seconds=0" + options),
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return run.stdout.splitlines(), run.returncode

    def heals(self):
        """The last heal of each region that has one."""
        infos = [json.loads(self.store().cli("info", "--json", region["id"])) for region in self.store().regions()]
        return [info["last_heal"] for info in infos if info["last_heal"]]

    def learn(self, *deadly):
        """Dies of each, recorded."""
        for request in deadly:
            self.assertEqual(self.session(request), ([], -signal.SIGSEGV if "/" not in request else -signal.SIGFPE))

    def test_a_caller_that_catches_gets_an_exception(self):
        self.learn("o2")
        self.assertEqual(self.session("o0", "o2", "o2", "ao2", "?", "o1"),
                         (["parts 20", refused, refused, refused, "checks 1, alive 0", "parts 20"], 0))
        heal, = self.heals()
        self.assertEqual((heal["thrown"], heal["value_reason"]), ("std::invalid_argument", because))
        self.assertIn("; threw std::invalid_argument (" + because, heal["report"])

    def test_where_nobody_catches_it_returns_as_before(self):
        self.learn("o2")
        self.assertEqual(self.session("u2", "n2", "u0", "?"), (["nobody catches 20", "firm 51", "nobody catches 20",
                                                                "checks 1, alive 0"], 0))
        heal, = self.heals()
        self.assertNotEqual(heal["value_reason"], because)
        self.assertNotIn("thrown", heal)

    def test_a_value_set_by_the_user_is_returned(self):
        self.learn("o2")
        region, = self.store().regions()
        self.store().cli("set", region["id"], "--value", "0")
        self.assertEqual(self.session("o2", "?"), (["parts 20", "checks 0, alive 0"], 0))

    def test_one_who_catches_may_be_a_region_himself(self):
        self.learn("t2", "t0/")
        self.assertEqual(len(self.store().regions()), 2)
        self.assertEqual(self.session("t0", "t2", "t2", "?", "t1"),
                         (["tried 32", "(internal error) tried -7", "(internal error) tried -7", "checks 1, alive 0",
                           "tried 32"], 0))
        self.assertEqual([heal["value_reason"] for heal in self.heals()], [because])

    def test_it_may_pass_through_a_region(self):
        self.learn("p2", "p0/")
        self.assertEqual(len(self.store().regions()), 2)
        self.assertEqual(self.session("p0", "p2", "p2", "?", "p1"),
                         (["passed 32", refused, refused, "checks 1, alive 0", "passed 32"], 0))
        self.assertEqual([heal["value_reason"] for heal in self.heals()], [because])

    def test_recovery_begins_where_something_is_thrown_and_caught(self):
        weighing = ":weigh-levels=yes"
        self.assertEqual(self.session("o2", options=weighing)[1], -signal.SIGSEGV)
        region, = self.store().regions()
        self.assertEqual(self.session("o2", "?", options=weighing), ([refused, "checks 0, alive 0"], 0))
        info = json.loads(self.store().cli("info", "--json", region["id"]))
        first = info["candidates"][0]
        self.assertEqual((first["level"], first["in_use"], first["evidence"]), (0, True, "throws"))
        self.assertIn("auto (throws std::invalid_argument)", self.store().cli("info", region["id"]))


if __name__ == "__main__":
    case.main()
