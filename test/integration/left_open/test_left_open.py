"""A heal that leaves its client's connection open for ever moves outwards, until the server closes it."""

import json
import os
import signal
import socket
import subprocess
import unittest

from servers import case, client, process

program = os.environ["SELFHEAL_PROGRAM"]
options = "report=never:hang-seconds=0:heals-per-minute=0"


class LeftOpen(case.Case):
    def start(self, *arguments):
        self.port = client.free_port()
        server = subprocess.Popen([program, *arguments, str(self.port)], env=self.store().environment(options),
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait, 30)
        self.addCleanup(server.kill)
        process.wait_for(lambda: client.is_listening(self.port), "it listens", 60)
        return server

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

    def descriptors(self, server):
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    def closes(self, server):
        """Three requests that fault, and an occasion to look after each: are their connections closed again?"""
        before = self.descriptors(server)
        for _ in range(3):
            self.assertIsNone(self.ask(b"bug", 0.05))
            self.assertEqual(self.ask(b"ping"), b"pong\n")
        return self.descriptors(server) <= before

    def heals_until_closed(self, *arguments):
        server = self.start()
        self.assertFalse(self.ask(b"bug"))
        self.assertEqual(server.wait(30), -signal.SIGSEGV)

        server = self.start(*arguments)
        self.assertEqual(self.ask(b"ping"), b"pong\n")
        process.wait_for(lambda: self.closes(server), lambda: f"it closes; {self.candidates()}", 60)
        self.assertIsNone(server.poll())
        found = {c["function"]: c for c in self.candidates() if c["value"] == "auto"}
        self.assertTrue(found["on_request"]["in_use"])
        self.assertGreaterEqual(found["answer"]["left_open"], 2)
        self.assertGreaterEqual(found["dispatch"]["left_open"], 2)
        self.assertEqual(found["on_request"]["left_open"], 0)

    def test_the_function_that_began_with_the_request_is_undone_in_the_end(self):
        self.heals_until_closed()

    @unittest.skipIf(os.geteuid() != 0, "it has no privileges to drop")
    def test_a_worker_that_may_not_write_the_catalog_moves_on_itself(self):
        self.heals_until_closed("unprivileged")


if __name__ == "__main__":
    case.main()
