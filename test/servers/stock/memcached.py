"""Stock Debian memcached: the text protocol over a socket."""

import os
import socket

from .question import Question
from .server import Server


class Memcached(Server):
    name = "memcached"

    def command(self):
        user = ["-u", "memcache"] if os.geteuid() == 0 else []
        return ["/usr/bin/memcached", "-l", "127.0.0.1", "-p", self.port, "-U", "0", "-t", "2", "-m", "16", *user]

    def talk(self, sent, end):
        """All that comes back, up to and with `end`."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            connection.sendall(sent)
            received = b""
            while not received.endswith(end):
                chunk = connection.recv(65536)
                if not chunk:
                    return received
                received += chunk
            return received

    def workload(self):
        def ask(sent, right):
            return Question(str(sent[:40]), lambda: self.talk(sent, right), right)

        big = b"y" * 100_000
        return [
            ask(b"flush_all\r\n", b"OK\r\n"),
            ask(b"set a 7 0 5\r\nhello\r\n", b"STORED\r\n"),
            ask(b"get a\r\n", b"VALUE a 7 5\r\nhello\r\nEND\r\n"),
            ask(b"get b\r\n", b"END\r\n"),
            ask(b"add a 0 0 1\r\nx\r\n", b"NOT_STORED\r\n"),
            ask(b"append a 0 0 1\r\n!\r\n", b"STORED\r\n"),
            ask(b"set n 0 0 2\r\n41\r\n", b"STORED\r\n"),
            ask(b"incr n 1\r\n", b"42\r\n"),
            ask(b"incr a 1\r\n", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"),
            ask(b"set big 0 0 100000\r\n" + big + b"\r\n", b"STORED\r\n"),
            ask(b"get big a\r\n", b"VALUE big 0 100000\r\n" + big + b"\r\nVALUE a 7 6\r\nhello!\r\nEND\r\n"),
            ask(b"delete a\r\n", b"DELETED\r\n"),
            ask(b"mg n v\r\n", b"VA 2\r\n42\r\n"),
            ask(b"nonsense\r\n", b"ERROR\r\n"),
            ask(b"get " + b"k" * 300 + b"\r\n", b"CLIENT_ERROR bad command line format\r\n"),
        ]
