"""Learning what functions return when they fail: from what is seen of them, or by the user's word."""

import json
import os
import signal
import subprocess
import sys

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


watched = ("--function", "learn_server!kind_of", "--function", "learn_server!handle_of")
good_requests = ["kind a", "kind n", "handle b"] * 20
bad_requests = ["kind 9", "handle 9", "kind a"] * 10


class BySeeing(Learn):
    def traffic(self, requests):
        """A command that asks the server of `drive` for these."""
        lines = os.path.join(self.folder, f"requests-{len(requests)}-{abs(hash(tuple(requests)))}")
        with open(lines, "w", encoding="ascii") as file:
            file.write("\n".join(requests))
        asking = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ask.py")
        return f"{sys.executable} {asking} {self.folder}/port {lines}"

    def drive(self, good, bad, *arguments, workers=()):
        seen = self.store().cli("learn", "--json", *watched, *arguments, "--good", self.traffic(good), "--bad",
                                self.traffic(bad), "--", program, f"{self.folder}/port", *workers)
        os.unlink(f"{self.folder}/port")
        return json.loads(seen)

    @staticmethod
    def counts(seen, function):
        one, = [w for w in seen["watched"] if w["function"] == function]
        return {int(v["value"], 16): (v["good"], v["bad"]) for v in one["values"]}

    @staticmethod
    def errors(seen):
        return {f["function"]: [e["value"] for e in f["errors"]] for f in seen["functions"] if f["errors"]}

    def test_values_of_bad_traffic_alone_become_errors_and_heal_right(self):
        self.record_crash()
        self.assertEqual(self.start().ask("crash"), "kind -1")
        seen = self.drive(good_requests, bad_requests)
        self.assertEqual(self.counts(seen, "kind_of"), {0: (20, 10), 3: (20, 0), 7: (0, 10)})
        self.assertEqual(self.errors(seen), {"kind_of": ["0x7"], "handle_of": ["0x0"]})
        self.assertEqual(self.start().ask("crash"), "refused")
        self.assertIn("7 (10 of 20 bad calls), none of 40 good ones", self.store().cli("info", self.region()["id"]))

    def test_forked_workers_count_together(self):
        seen = self.drive(good_requests, bad_requests, workers=["3"])
        self.assertEqual(self.counts(seen, "kind_of"), {0: (20, 10), 3: (20, 0), 7: (0, 10)})
        self.assertEqual(self.errors(seen), {"kind_of": ["0x7"], "handle_of": ["0x0"]})

    def test_regions_are_watched_without_being_named(self):
        self.record_crash()
        command = ["learn", "--json", "--good", self.traffic(good_requests), "--bad", self.traffic(bad_requests)]
        os.unlink(f"{self.folder}/port")
        seen = json.loads(self.store().cli(*command, "--", program, f"{self.folder}/port"))
        self.assertEqual([w["function"] for w in seen["watched"]], ["kind_of"])
        self.assertEqual(self.errors(seen), {"kind_of": ["0x7"]})

    def test_all_functions_of_the_program_may_be_watched(self):
        seen = self.drive(good_requests, bad_requests, "--all")
        self.assertEqual(self.counts(seen, "handle_of")[0], (0, 10))
        self.assertEqual(seen["left_out"], 0)
        self.assertEqual(self.errors(seen)["kind_of"], ["0x7"])

    def test_too_few_calls_say_nothing(self):
        self.assertEqual(self.errors(self.drive(good_requests, bad_requests[:9])), {})   # 3 bad ones of each
        self.assertEqual(self.errors(self.drive(good_requests[:9], bad_requests)), {})   # too few good ones

    def test_what_good_traffic_returns_is_no_error(self):
        seen = self.drive([*good_requests, "kind 8"], bad_requests)
        self.assertEqual(self.counts(seen, "kind_of")[7], (1, 10))
        self.assertEqual(self.errors(seen), {"handle_of": ["0x0"]})

    def test_what_the_user_has_set_stays(self):
        self.store().cli("learn", "--set", f"{program}!kind_of=9")
        self.assertEqual(self.errors(self.drive(good_requests, bad_requests))["kind_of"], ["0x9"])

    def test_answers_are_the_same_while_functions_are_watched(self):
        requests = [*good_requests[:9], *bad_requests[:9], "slow 100", "slow 2000000"]
        plain = self.start(options="report=never:hang-seconds=0")
        expected = [plain.ask(request) for request in requests]
        plain.end()
        self.store().cli("learn", "--mark", "good", "--all")
        watching = self.start(options="report=never:hang-seconds=0:learn=on")
        self.assertEqual([watching.ask(request) for request in requests], expected)
        watching.end()
        names = [w["function"] for w in json.loads(self.store().cli("learn", "--json"))["watched"]]
        self.assertIn("sum_of", names)

    def test_a_program_that_runs_follows_the_user_s_marks(self):
        server = self.start(options="report=never:hang-seconds=0:learn=on")
        for request in good_requests:  # nothing is marked: nothing is watched
            server.ask(request)
        self.assertEqual(json.loads(self.store().cli("learn", "--json"))["watched"], [])
        self.store().cli("learn", "--mark", "good", *watched)
        server.ask("pid")  # back at accept, it has seen the mark
        for request in good_requests:
            self.assertNotEqual(server.ask(request), "")
        self.store().cli("learn", "--mark", "bad")
        for request in bad_requests:
            server.ask(request)
        seen = json.loads(self.store().cli("learn", "--json", "--mark", "off"))
        self.assertEqual(self.errors(seen), {"kind_of": ["0x7"], "handle_of": ["0x0"]})
        for request in bad_requests:  # and nothing is counted any more
            server.ask(request)
        self.assertEqual(self.counts(json.loads(self.store().cli("learn", "--json")), "kind_of")[7], (0, 10))
        self.assertEqual(server.end(), -signal.SIGTERM)

    def test_a_fault_in_a_watched_function_is_what_it_was(self):
        self.store().cli("learn", "--mark", "bad", *watched)
        server = self.start(options="report=never:hang-seconds=0:learn=on")
        self.assertEqual(server.ask("crash"), "")
        self.assertEqual(server.process.wait(30), -signal.SIGSEGV)
        region = self.region()
        self.assertEqual((region["function"], region["faults"], region["heals"]), ("kind_of", 1, 0))

    def test_a_region_in_a_watched_function_is_healed(self):
        self.record_crash()
        self.store().cli("learn", "--set", f"{self.region()['id']}=7")
        self.store().cli("learn", "--mark", "good", "--all")
        server = self.start(options="report=never:hang-seconds=0:learn=on")
        for _ in range(20):
            self.assertEqual(server.ask("crash"), "refused")
            self.assertEqual(server.ask("kind a"), "kind 0")

    def test_a_damaged_file_of_counts_is_named(self):
        self.store().cli("learn", "--mark", "off")
        with open(os.path.join(self.store().folder, "learning"), "r+b") as file:
            file.write(b"nonsense")
        run = subprocess.run([runtime.command, "learn", "--store", self.store().folder], capture_output=True,
                             text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("/learning: at offset 0: the header is damaged", run.stderr)


if __name__ == "__main__":
    case.main()
