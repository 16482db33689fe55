"""outside_server under `selfheal run`, which watches it."""

import http.client
import json
import os
import signal
import socket

from servers import case, process, runtime

server = os.environ["SELFHEAL_OUTSIDE_SERVER"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class SupervisedCase(case.Case):
    health = ("--health-interval", "0.2", "--health-timeout", "2", "--health-retries", "2", "--stop-timeout", "0.5")

    def setUp(self):
        self.port = free_port()
        self.supervisor = None

    def tearDown(self):
        if self.supervisor is not None and self.supervisor.running():
            self.supervisor.stop()

    def run_server(self, *options, workers=0, wrapper=()):
        """Starts the server, supervised; `options` are those of `selfheal run`."""
        self.supervisor = process.Process(
            [*wrapper, runtime.command, "run", "--store", self.store().folder, "--restart-delay", "0.05", *options, "--",
             server, self.port, workers], self.folder, "supervisor", environment=runtime.plain_environment())
        self.wait_until_it_serves()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path="/", seconds=2.0):
        """The answer's status and text; None when there is none in time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def wait_until_it_serves(self):
        process.wait_for(lambda: self.get("/") == (200, " 1\n"), "the server answers", 60)

    def wait_until_said(self, text):
        process.wait_for(lambda: text in self.said(), f"'{text}'; it said:\n{self.said()}", 90)

    def said(self):
        """What the supervisor said; the program's crash reports are in between."""
        return self.supervisor.errors()

    def events(self):
        """What is recorded with no function to blame, the newest first."""
        return json.loads(self.store().cli("list", "--json"))["events"]

    def end(self):
        return self.supervisor.stop(signal.SIGTERM)
