"""Heals that find the same event again have not stuck; those of bad requests, however many, have."""

import json
import os
import signal
import subprocess
import unittest

from servers import case

program = os.environ["SELFHEAL_PROGRAM"]
# Without limits: a storm that nobody notices never ends. The faulting function is tried first.
options = "report=never:hang-seconds=0:heals-per-minute=0:heals-per-group=0:escalate=no:weigh-levels=no"
many = 10000
enough = 16  # turns of a storm that count as one failure


class Storms(case.Case):
    def start(self, *arguments):
        server = subprocess.Popen([program, *arguments], env=self.store(arguments[-1]).environment(options),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait, 30)
        self.addCleanup(server.kill)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.stdin.close)
        return server

    def ask(self, server, count):
        server.stdin.write(b"bad\n" * count)
        server.stdin.flush()

    def learn(self, what):
        """The first fault, which ends the process."""
        server = self.start(what)
        server.stdin.write(b"bad\n")
        server.stdin.close()
        self.assertEqual(server.wait(30), -signal.SIGSEGV)

    def info(self, what):
        store = self.store(what)
        region, = store.regions()
        return json.loads(store.cli("info", "--json", region["id"]))

    def in_use(self, what):
        candidate, = [c for c in self.info(what)["candidates"] if c["in_use"]]
        return candidate

    def moves_outwards(self, *arguments):
        self.learn("before")
        server = self.start(*arguments, "before")
        self.ask(server, 1)
        self.assertEqual(server.stdout.readline(), b"dropped\n")
        self.ask(server, 50)
        self.assertEqual([server.stdout.readline() for _ in range(50)], [b"dropped\n"] * 50)
        server.stdin.close()
        self.assertEqual(server.wait(30), 0)
        first = self.info("before")["candidates"][0]
        self.assertEqual((first["level"], first["stuck"], first["again"]), (0, 1, 1))
        self.assertEqual(self.in_use("before")["level"], 1)
        self.assertEqual(self.in_use("before")["again"], 0)

    def test_the_next_candidate_is_tried(self):
        self.moves_outwards()

    @unittest.skipIf(os.geteuid() != 0, "it has no privileges to drop")
    def test_a_worker_that_may_not_write_the_catalog_moves_on_itself(self):
        self.moves_outwards("unprivileged")

    def ends_soon(self, *arguments):
        """Where nothing helps, the process ends of its fault, as it would without us."""
        self.learn("helpless")
        for _ in range(2):
            server = self.start(*arguments, "helpless")
            self.ask(server, 1)
            self.assertEqual(server.wait(30), -signal.SIGSEGV)
        info = self.info("helpless")
        self.assertTrue(all(c["again"] > 0 for c in info["candidates"]), info["candidates"])
        self.assertLessEqual(info["heals"], (len(info["candidates"]) + 2) * (2 * enough + 1))

    def test_where_nothing_helps_it_ends_soon(self):
        self.ends_soon()

    @unittest.skipIf(os.geteuid() != 0, "it has no privileges to drop")
    def test_nor_does_a_worker_go_on_that_may_not_write_the_catalog(self):
        self.ends_soon("unprivileged")

    def test_one_that_waits_itself_is_tried_and_nobody_further_out(self):
        self.learn("around")
        for _ in range(4):
            server = self.start("around")
            self.ask(server, 1)
            self.assertEqual(server.wait(30), -signal.SIGSEGV, "serve() never returns")
        info = self.info("around")
        self.assertTrue(all(c["again"] > 0 for c in info["candidates"]), info["candidates"])
        self.assertLessEqual(info["heals"], (len(info["candidates"]) + 4) * (2 * enough + 1))

    def test_an_attack_is_no_storm(self):
        for what in ("inside", "outside", "line"):
            with self.subTest(what):
                self.learn(what)
                server = self.start(what)
                self.ask(server, many)
                self.assertEqual([server.stdout.readline() for _ in range(many)], [b"refused\n"] * many)
                server.stdin.close()
                server.wait(30)
                candidate = self.in_use(what)
                self.assertEqual((candidate["level"], candidate["stuck"], candidate["again"], candidate["died"]),
                                 (0, many, 0, 0))

    def test_a_timer_is_no_storm(self):
        self.learn("timer")
        server = self.start("timer")
        self.assertEqual([server.stdout.readline() for _ in range(3 * enough)], [b"refused\n"] * 3 * enough)
        server.kill()
        server.wait(30)
        candidate = self.in_use("timer")
        self.assertEqual((candidate["level"], candidate["again"]), (0, 0))
        self.assertGreaterEqual(candidate["stuck"], 3 * enough - 1)


if __name__ == "__main__":
    case.main()
