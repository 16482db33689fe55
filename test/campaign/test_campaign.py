"""`selfheal campaign` on a small server whose functions fail in known ways (server.c)."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

cli = os.environ["SELFHEAL_CLI"]
server = os.environ["CAMPAIGN_SERVER"]
ask = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ask.py")
port = "7001"  # each copy has a network of its own


def command(folder, *more, requests=("table", "compute", "parse"), arguments=(server, port)):
    def asking(*names):
        return " ".join([sys.executable, ask, port, *names])
    return [cli, "campaign", "--workload", asking(*requests, "hello", "again", *requests, "hello"),
            "--check", asking("check") + " | grep -q 'ok check 1'", "--module", "campaign_server",
            "--output", os.path.join(folder, "out.json"), *more, "--", *arguments]


def line_count(path):
    try:
        with open(path, encoding="utf-8") as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0


def run(arguments, seconds=200):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=seconds, check=False)


class Campaign(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix=f"selfheal-{self._testMethodName}-")
        os.chmod(self.folder, 0o755)

    def tearDown(self):
        failed = any(error for _, error in self._outcome.errors) if hasattr(self._outcome, "errors") else \
            self._outcome.result.failures or self._outcome.result.errors
        if failed:
            print("kept:", self.folder)
        else:
            shutil.rmtree(self.folder)

    def done(self, *arguments, **how):
        finished = run(command(self.folder, *arguments, **how))
        self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)
        return finished.stdout

    def listed(self, *more, **how):
        """(id, position, seen, function) of each fault that would be tried, in order."""
        lines = [line.split("\t") for line in self.done("--list", *more, **how).splitlines()]
        return [tuple(line) for line in lines if len(line) == 4]

    def verdict(self, function, position, kind, *more, requests):
        """(verdict, what) of that one fault."""
        ids = [i for i, p, _, f in self.listed("--faults", kind, requests=requests)
               if f == function and p == position]
        self.assertEqual(len(ids), 1, f"places for {kind} at {position} of {function}")
        said = self.done("--only", ids[0], *more, requests=requests)
        found = re.search(rf"^ *\d+ {re.escape(ids[0])} +(\S+) +(.*)$", said, re.M)
        self.assertTrue(found, said)
        return found.groups()

    def test_a_fault_whose_caller_copes_is_healed(self):
        for kind in ("null", "div", "ud2", "abort", "loop"):
            with self.subTest(kind=kind):
                verdict, what = self.verdict("read_table", "entry", kind, requests=("table",))
                self.assertEqual(verdict, "healed", what)
        verdict, what = self.verdict("read_table", "middle", "null", requests=("table",))
        self.assertEqual((verdict, what), ("healed", "4 heals, 4 errors"))

    def test_what_the_runtime_does_not_look_for_is_unrecorded(self):
        verdict, what = self.verdict("read_table", "entry", "loop", "--options", "hang-seconds=0", "--timeout", "12",
                                     requests=("table",))
        self.assertEqual(verdict, "unrecorded", what)

    def test_a_canary_found_damaged_again_is_stopped(self):
        verdict, what = self.verdict("guarded", "jump", "invert", requests=("guarded",))
        self.assertEqual(verdict, "stopped", what)
        self.assertIn("smashed-stack", what)

    def test_what_may_decide_about_access_is_stopped(self):
        verdict, what = self.verdict("login_of", "entry", "null", requests=("login",))
        self.assertEqual(verdict, "stopped", what)
        self.assertIn("null-access", what)

    def test_an_integrity_fault_is_stopped(self):
        verdict, what = self.verdict("notify", "jump", "invert", requests=("notify",))
        self.assertEqual(verdict, "stopped", what)
        self.assertIn("exec-violation", what)

    def test_answers_to_others_that_are_spoiled_are_wrong(self):
        verdict, what = self.verdict("compute", "entry", "null", requests=("compute",))
        self.assertEqual(verdict, "wrong", what)
        self.assertIn("101", what)

    def test_a_different_refusal_is_an_error(self):
        verdict, what = self.verdict("excuse_of", "entry", "null", requests=("deny",))
        self.assertEqual((verdict, what), ("healed", "4 heals, 4 errors"))

    def test_what_should_be_refused_and_is_not_is_wrong(self):
        verdict, what = self.verdict("quota_of", "entry", "null", requests=("admit",))
        self.assertEqual(verdict, "wrong", what)
        self.assertIn("admit: ok admit 1", what)

    def test_what_is_kept_is_a_leak(self):
        verdict, what = self.verdict("parse", "entry", "null", requests=("parse",))
        self.assertEqual((verdict, what), ("leak", "2, 2 more descriptors after each workload"))

    def test_what_a_time_out_gives_back_is_no_leak(self):
        verdict, what = self.verdict("reserve", "entry", "null", requests=("reserve",))
        self.assertEqual(verdict, "leak", what)
        verdict, what = self.verdict("reserve", "entry", "null", "--linger", "30", requests=("reserve",))
        self.assertEqual(verdict, "healed", what)

    def test_a_worker_that_ends_is_a_crash(self):
        verdict, what = self.verdict("store_away", "entry", "null", requests=("store",))
        self.assertEqual(verdict, "crash", what)
        self.assertIn("ended: campaign_server", what)

    def test_a_server_that_waits_for_ever_hangs(self):
        verdict, what = self.verdict("look_up", "entry", "null", requests=("look",))
        self.assertEqual(verdict, "hang", what)

    def test_a_fault_at_start_up_is_counted_apart(self):
        seen = {f: s for _, _, s, f in self.listed("--faults", "null")}
        self.assertEqual((seen["configure"], seen["read_table"]), ("start-up", "serving"))
        self.assertNotIn("look_up", seen)  # nobody asked for it
        verdict, _ = self.verdict("configure", "entry", "null", requests=("table",))
        self.assertEqual(verdict, "start-up")

    def test_a_wrong_decision_without_a_fault_is_not_counted(self):
        verdict, what = self.verdict("choose", "jump", "invert", requests=("choose",))
        self.assertEqual(verdict, "silent", what)
        self.assertIn("choose 20", what)

    def test_wrong_decisions_are_told_from_what_a_heal_spoils(self):
        verdict, what = self.verdict("price_of", "jump", "invert", requests=("price", "gift"))
        self.assertEqual(verdict, "healed", what)
        self.assertRegex(what, "^4 heals, .* answers are the wrong decision's, healed or not$")

    def test_the_list_depends_on_the_seed_alone(self):
        first = self.listed("--seed", "5")
        os.remove(os.path.join(self.folder, "out.json.d", "study.json"))
        self.assertEqual(self.listed("--seed", "5"), first)
        self.assertNotEqual(self.listed("--seed", "6"), first)
        positions = [p for _, p, seen, _ in first if seen == "serving"][:8]
        self.assertEqual(positions, ["entry", "middle", "entry", "jump"] * 2)

    def test_what_is_left_out_makes_room_for_the_next(self):
        everything = self.listed("--seed", "5")
        serving = [line for line in everything if line[2] == "serving"]
        out = [serving[1][0], serving[4][0]]
        rest = [line for line in everything if line[0] not in out]
        self.assertEqual(len(rest), len(everything) - 2)
        self.assertEqual(self.listed("--seed", "5", "--without", ",".join(out)), rest)

    def test_a_campaign_that_was_killed_goes_on(self):
        sample = ("--sample", "4", "--seed", "3", "--faults", "null,ud2", "--jobs", "2")
        whole = tempfile.mkdtemp(dir=self.folder)
        finished = run(command(whole, *sample))
        self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)
        results = os.path.join(self.folder, "out.json.d", "results.jsonl")
        with subprocess.Popen(command(self.folder, *sample), stdout=subprocess.DEVNULL) as broken:
            deadline = time.monotonic() + 150
            while time.monotonic() < deadline and broken.poll() is None:
                if line_count(results) >= 3:
                    break
                time.sleep(0.02)
            broken.send_signal(signal.SIGKILL)
        with open(results, "a", encoding="utf-8") as f:
            f.write('{"id":"torn')
        known = line_count(results) - 2
        self.assertGreaterEqual(known, 2)
        said = self.done(*sample, "--resume")
        tried = len(re.findall(r"^ *\d+ campaign_server\+0x", said, re.M))

        def verdicts(folder):
            with open(os.path.join(folder, "out.json"), encoding="utf-8") as f:
                report = json.load(f)
            self.assertEqual(report["counted"], 4)
            return {f["id"]: f["verdict"] for f in report["faults"]}
        self.assertEqual(verdicts(self.folder), verdicts(whole))
        run_at_all = [v for v in verdicts(whole).values() if v != "start-up"]
        self.assertEqual(tried + known, len(run_at_all))
        other = run(command(self.folder, "--resume", "--seed", "4", "--sample", "4"))
        self.assertEqual(other.returncode, 1)
        self.assertIn("results of another campaign", other.stderr)

    def test_what_is_wrong_is_said_in_one_line(self):
        def complaint(arguments):
            finished = run(arguments)
            self.assertIn(finished.returncode, (1, 2), finished.stdout)
            self.assertEqual(finished.stderr.count("\n"), 1, finished.stderr)
            return finished.stderr
        self.assertIn("did not become ready", complaint(command(self.folder, arguments=("/bin/false",))))
        self.assertIn("none of the files", complaint(["nothing*" if word == "campaign_server" else word
                                                      for word in command(self.folder)]))
        self.assertIn("the workload has errors", complaint(command(self.folder, requests=("never",))))
        self.assertIn("is no fault", complaint(command(self.folder, "--faults", "fire")))
        self.assertIn("after `--`", complaint(command(self.folder)[:-3]))
        unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                        "--inh-caps=-all", "--no-new-privs", *command(self.folder)]
        self.assertIn("run it as root", complaint(unprivileged))


if __name__ == "__main__":
    unittest.main(verbosity=2)
