"""`selfheal verify`: every candidate is tried out on a fresh copy of the server, and what heals is used."""

import json
import os
import signal
import socket
import subprocess

from servers import case, runtime
from servers import warehouse as example

program = os.environ["SELFHEAL_PROGRAM"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Verify(case.Case):
    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return path

    def die_of(self, request):
        run = subprocess.run([program], input=request + "\n", env=self.store().environment("report=never"), text=True,
                             capture_output=True, timeout=60, check=False)
        self.assertEqual(run.returncode, -signal.SIGSEGV)

    def region(self):
        region, = self.store().regions()
        return json.loads(self.store().cli("info", "--json", region["id"]))

    def verify(self, *arguments, server=(program,), status=0):
        run = subprocess.run([runtime.command, "verify", self.region()["id"], "--json", *arguments, "--", *server],
                             env={**runtime.plain_environment(), "SELFHEAL_STORE": self.store().folder,
                                  "SELFHEAL_LIBRARY": runtime.library},
                             capture_output=True, text=True, timeout=200, check=False)
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        return json.loads(run.stdout) if run.stdout else run.stderr

    @staticmethod
    def verdicts(result):
        return {(c["level"], c["value"]): c["verdict"] for c in result["candidates"]}

    def requests(self, *lines):
        return self.write("requests", "".join(line + "\n" for line in lines))

    def answers(self, *requests):
        run = subprocess.run([program], input="".join(r + "\n" for r in requests), text=True, capture_output=True,
                             env=self.store().environment("report=never"), timeout=60, check=False)
        return run.stdout.splitlines(), run.returncode

    def test_the_function_whose_callers_cope_is_found_before_anything_died_of_it(self):
        self.die_of("describe ghost")
        result = self.verify("--input", self.requests("describe nut", "describe ghost", "stock"), "--check",
                             '[ "$(tr "\\n" , < $SELFHEAL_ANSWER)" = "stock 40,refused,stock 400700," ]')
        verdicts = self.verdicts(result)
        self.assertEqual((verdicts[0, "auto"], verdicts[1, "auto"], verdicts[2, "auto"]), ("crashed", "healed", "healed"))
        self.assertEqual(result["in_use"], {"level": 1, "value": "auto"})
        info = self.region()
        self.assertEqual((info["level"], info["faults"], info["heals"]), (1, 1, 0))
        self.assertEqual(self.answers("describe ghost", "stock"), (["refused", "stock 400700"], 0))

    def test_what_sticks_but_answers_wrong_is_told(self):
        self.die_of("order gift")
        result = self.verify("--input", self.requests("order gift", "stock"), "--check",
                             '[ "$(tr "\\n" , < $SELFHEAL_ANSWER)" = "refused,stock 400700," ]')
        verdicts = self.verdicts(result)
        self.assertEqual((verdicts[0, "auto"], verdicts[1, "auto"]), ("wrong", "healed"))
        self.assertEqual(self.answers("order gift", "stock"), (["refused", "stock 400700"], 0))

    def test_a_check_that_does_not_end_is_a_hang(self):
        self.die_of("order gift")
        result = self.verify("--input", self.requests("order gift"), "--check", "sleep 60", "--timeout", "2", status=1)
        self.assertEqual(set(self.verdicts(result).values()), {"hung"})

    def test_another_request_changes_nothing(self):
        self.die_of("describe ghost")
        before = self.region()
        result = self.verify("--input", self.requests("stock"), status=1)
        self.assertEqual((result["reproduced"], set(self.verdicts(result).values())), (False, {"untested"}))
        after = self.region()
        self.assertEqual(before["candidates"], after["candidates"])

    def test_wrong_usage(self):
        self.die_of("describe ghost")
        self.assertIn("one of --request", self.verify(status=2))
        self.assertIn("needs the --port", self.verify("--request-file", self.requests("stock"), status=2))
        self.assertIn("not in any folder", self.verify("--request", "true", server=["no-such-program"], status=1))

    def test_a_recorded_request_to_a_server(self):
        with example.Warehouse(self.folder, self.store().environment()) as server:
            with self.assertRaises(Exception):
                server.fetch(example.client.Request("/supplier/lantern"))
            server.process.wait()
        port = free_port()
        recorded = self.write("request", "GET /supplier/lantern HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        result = self.verify("--request-file", recorded, "--port", str(port), "--check",
                             'head -1 $SELFHEAL_ANSWER | grep -Eq "HTTP/1.[01] [45]"', "--first",
                             server=[example.program, "--port", str(port)])
        self.assertEqual(result["candidates"][-1]["verdict"], "healed")
        self.assertTrue(result["healed"])


if __name__ == "__main__":
    case.main()
