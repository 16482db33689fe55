"""A heal that leaves its client's connection open for ever moves outwards, until the server closes it."""

import json
import os
import signal
import socket
import subprocess
import time

from servers import case, client

program = os.environ["SELFHEAL_PROGRAM"]
options = "report=never:hang-seconds=0:heals-per-minute=0"


class LeftOpen(case.Case):
    def start(self):
        self.port = client.free_port()
        server = subprocess.Popen([program, str(self.port)], env=self.store().environment(options),
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait, 30)
        self.addCleanup(server.kill)
        self.until(lambda: client.is_listening(self.port))
        return server

    def until(self, done, seconds=60):
        deadline = time.monotonic() + seconds
        while not done():
            self.assertLess(time.monotonic(), deadline, self.candidates())
            time.sleep(0.05)

    def ask(self, request, patience=10.0):
        """The answer; None when there is none in time. The client closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request + b"\n")
            connection.settimeout(patience)
            try:
                return connection.recv(80)
            except (TimeoutError, ConnectionResetError):
                return None

    def candidates(self):
        found = [r for r in self.store().regions() if r["function"] == "answer"]
        return json.loads(self.store().cli("info", "--json", found[0]["id"]))["candidates"] if found else []

    def in_use(self):
        one, = [c for c in self.candidates() if c["in_use"]]
        return one["function"]

    def descriptors(self, server):
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    def test_the_function_that_began_with_the_request_is_undone_in_the_end(self):
        server = self.start()
        self.assertFalse(self.ask(b"bug"))
        self.assertEqual(server.wait(30), -signal.SIGSEGV)

        server = self.start()
        self.assertEqual(self.ask(b"ping"), b"pong\n")

        def moved():
            self.assertIsNone(self.ask(b"bug", 0.05))
            self.assertEqual(self.ask(b"ping"), b"pong\n")  # an occasion to look
            return self.in_use() == "on_request"

        self.until(moved)
        left = {c["function"]: c["left_open"] for c in self.candidates() if c["value"] == "auto"}
        self.assertGreaterEqual(left["answer"], 2)
        self.assertGreaterEqual(left["dispatch"], 2)
        self.assertEqual(left["on_request"], 0)

        # Living processes take the news up at a blocking call.
        before = self.descriptors(server)
        for _ in range(3):
            self.ask(b"ping")
        for _ in range(5):
            self.assertIsNone(self.ask(b"bug", 0.05))
        self.assertEqual(self.ask(b"ping"), b"pong\n")
        self.until(lambda: self.ask(b"ping") and self.descriptors(server) <= before)
        self.assertIsNone(server.poll())


if __name__ == "__main__":
    case.main()
