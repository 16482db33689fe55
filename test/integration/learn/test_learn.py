"""Learning what functions return when they fail: from what is seen of them, or by the user's word."""

import json
import os
import signal
import subprocess

from learn_server import Server, program
from servers import case, runtime


class Learn(case.Case):
    def start(self, *arguments, **keywords):
        server = Server(self.store(), self.folder, *arguments, **keywords)
        self.addCleanup(server.process.wait, 30)
        self.addCleanup(server.process.kill)
        return server

    def record_crash(self):
        server = self.start()
        self.assertEqual(server.ask("crash"), "")
        self.assertEqual(server.process.wait(30), -signal.SIGSEGV)

    def region(self):
        region, = self.store().regions()
        return region

    def info(self):
        return json.loads(self.store().cli("info", "--json", self.region()["id"]))

    def known(self):
        return {entry["function"]: entry for entry in json.loads(self.store().cli("learn", "--json"))["functions"]}


class ByTheUser(Learn):
    def test_what_the_code_tells_alone_is_no_refusal(self):
        self.record_crash()
        self.assertEqual(self.start().ask("crash"), "kind -1")

    def test_a_value_that_was_set_is_returned(self):
        self.record_crash()
        self.store().cli("learn", "--set", f"{self.region()['id'][:6]}=7")
        self.assertEqual(self.start().ask("crash"), "refused")
        info = self.info()
        self.assertEqual([e["value"] for e in info["known"]["errors"]], ["0x7"])
        self.assertIn("fails with", self.store().cli("info", self.region()["id"]))
        self.assertIn("returned 7 (learned from calls that failed)", info["last_heal"]["report"])

    def test_functions_may_be_named_before_they_ever_fault(self):
        self.store().cli("learn", "--set", f"{program}!kind_of=7,9")
        self.assertEqual([e["value"] for e in self.known()["kind_of"]["errors"]], ["0x7", "0x9"])
        self.record_crash()
        self.assertEqual(self.start().ask("crash"), "refused")

    def test_a_living_process_takes_it_up(self):
        self.record_crash()
        server = self.start()
        self.assertEqual(server.ask("crash"), "kind -1")
        self.store().cli("learn", "--set", f"{os.path.basename(program)}!kind_of=7")
        self.assertEqual(server.ask("kind a"), "kind 0")  # back at accept, it has seen the news
        self.assertEqual(server.ask("crash"), "refused")
        self.store().cli("learn", "--forget", self.region()["id"])
        self.assertEqual(server.ask("kind a"), "kind 0")
        self.assertEqual(server.ask("crash"), "kind -1")

    def test_the_region_s_own_value_comes_first(self):
        self.record_crash()
        self.store().cli("learn", "--set", f"{self.region()['id']}=7")
        self.store().cli("set", self.region()["id"], "--value", "3")
        self.assertEqual(self.start().ask("crash"), "kind 3")

    def test_what_is_not_understood_changes_nothing(self):
        self.record_crash()
        for wrong in ("kind_of=7", f"{program}!kind_of=seven", f"{program}!nothing=7", f"{program}!kind_of",
                      f"{program}!kind_of=1,2,3,4,5", "nowhere!kind_of=7"):
            run = subprocess.run([runtime.command, "learn", "--store", self.store().folder, "--set", wrong],
                                 capture_output=True, text=True, timeout=60, check=False)
            self.assertIn(run.returncode, (1, 2), wrong)
            self.assertEqual(len(run.stderr.splitlines()), 1, run.stderr)
        self.assertEqual(self.known(), {})


if __name__ == "__main__":
    case.main()
