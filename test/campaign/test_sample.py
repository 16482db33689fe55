"""Twenty faults in each of Debian's apache, nginx, named and sshd: campaign/stock.py with the seeds of campaign/sample.json.

What must hold of any build of them: each fault drawn is judged, the report adds up, most are survived, and a campaign that
is done has nothing left to do. Of the builds that are known, no more than two may be lost that were survived before.

All four at once: a campaign waits most of its time, for answers that do not come and for time-outs.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

campaign = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "campaign"))
sys.path.insert(0, campaign)

import sample  # noqa: E402  (its folder comes first)

apart = ("start-up", "no-effect", "silent")  # verdicts that are not counted
least = 0.15  # survived, of any build: of those that are known it is a third (Apache) to nine of ten
# What a server's own time-outs decide may go another way on a faster or slower machine.
most_lost = 2


class Campaign:
    """The sample of one server, in a folder of its own."""

    def __init__(self, name, folder):
        self.name = name
        # As short as can be: Apache cuts its CGI daemon's socket's path off at 107 characters, without a word.
        self.output = os.path.join(folder, name[:2])

    def start(self, *more):
        command = [sys.executable, os.path.join(campaign, "stock.py"), self.name, "campaign", "--output", self.output,
                   *sample.arguments(self.name), "--jobs", "4", *more]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def report(self):
        with open(self.output, encoding="utf-8") as file:
            return json.load(file)


class Sample(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="selfheal-")
        os.chmod(self.folder, 0o755)

    def tearDown(self):
        if self._outcome.result.failures or self._outcome.result.errors:
            print("kept:", self.folder)
        else:
            shutil.rmtree(self.folder)

    def end(self, process, seconds=100):
        """What it printed; it must have ended well."""
        try:
            said, _ = process.communicate(timeout=seconds)
        finally:
            if process.poll() is None:
                process.kill()
        self.assertEqual(process.returncode, 0, said)
        return said

    def check_that_it_adds_up(self, report):
        faults = report["faults"]
        verdicts = [fault["verdict"] for fault in faults]
        self.assertLessEqual(set(verdicts), {*sample.counted, *apart})
        self.assertEqual(len({fault["id"] for fault in faults}), len(faults), "each fault once")
        self.assertEqual(report["counted"], sample.size)
        self.assertEqual(sum(v in sample.counted for v in verdicts), sample.size)
        self.assertEqual(report["survived"], len(sample.survivors(report)))
        low, high = report["interval"]
        self.assertTrue(0 <= low <= report["survived"] / sample.size <= high <= 1, report["interval"])
        for fault in faults:
            if fault["verdict"] in sample.survival:
                self.assertEqual(fault["run"], 2, fault["id"])
                self.assertTrue(fault["first"]["faults"], f"{fault['id']} was recorded")
            if fault["verdict"] == "healed":
                self.assertEqual((fault["last"]["gone"], fault["last"]["wrong"], fault["last"]["leaks"]), ([], [], []))

    def check_that_it_is_done(self, one, report):
        listed = [line.split("\t")[0] for line in self.end(one.start("--list")).splitlines() if "\t" in line]
        self.assertEqual([fault["id"] for fault in report["faults"]], listed[:len(report["faults"])])
        again = self.end(one.start("--resume"))
        self.assertIsNone(re.search(r"^ *\d+ \S+\+0x", again, re.M), again)
        self.assertEqual(one.report(), report)

    def check_that_nothing_is_lost(self, one, report):
        """Each that is lost is tried once more by itself: a request that was kept waiting for seconds by all the others
        on this machine is no regression, and is printed only."""
        self.assertGreaterEqual(2 * len(sample.known(one.name, report)), len(sample.load()[one.name]["survived"]),
                                "most of what is known was drawn: else these seeds and builds do not go together")
        lost = []
        for fault in sample.lost(one.name, report):
            first = f"{one.name}: {fault['id']} in {fault['function']}: {fault['verdict']}: {fault['what']}"
            said = self.end(one.start("--only", fault["id"]), 600)
            again = re.search(rf"^ *\d+ {re.escape(fault['id'])} +(\S+) +(.*)$", said, re.M)
            self.assertTrue(again, said)
            if again.group(1) in sample.survival:
                print(f"survived only when alone: {first}")
            else:
                lost.append(f"{first}; alone {again.group(1)}: {again.group(2)}")
        said = "survived before, and not any more:\n" + "\n".join(lost)
        print(said if lost else f"{one.name}: nothing is lost")
        self.assertLessEqual(len(lost), most_lost, said)

    def check(self, one, said):
        report = one.report()
        self.check_that_it_adds_up(report)
        self.assertGreaterEqual(report["survived"], least * sample.size, said)
        self.check_that_it_is_done(one, report)
        if not sample.is_known(one.name, one.output):
            print(f"{one.name}: another build than that of {sample.file}: {sample.builds(one.output)}")
            return
        self.check_that_nothing_is_lost(one, report)

    def test_of_each_server(self):
        campaigns = [Campaign(name, self.folder) for name in sample.load()]
        deadline = time.monotonic() + 800
        running = [one.start() for one in campaigns]
        ends = []
        for one, process in zip(campaigns, running):
            with self.subTest(server=one.name):
                ends.append((one, self.end(process, max(1, deadline - time.monotonic()))))
        for one, said in ends:
            with self.subTest(server=one.name):
                self.check(one, said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
