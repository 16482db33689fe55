"""Stock Debian redis: its own protocol over a socket, scripts, and a snapshot by a forked child."""

import os
import socket

from servers import process

from .question import Question
from .server import Server


def encode(*words):
    parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def read_reply(stream):
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the connection was closed")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest.decode()
    if kind == b"-":
        return Exception, rest.decode()
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2]
    return [read_reply(stream) for _ in range(int(rest))]


class Redis(Server):
    name = "redis"

    def command(self):
        return ["/usr/bin/redis-server", "--bind", "127.0.0.1", "--port", self.port, "--dir", self.folder,
                "--save", "", "--daemonize", "no", "--logfile", self.path("redis.log"), "--always-show-logo", "no",
                "--enable-debug-command", "yes"]

    def log_files(self):
        return [self.path("redis.log")]

    def start(self, environment=None):
        if os.path.exists(self.path("dump.rdb")):
            os.remove(self.path("dump.rdb"))
        return super().start(environment)

    def call(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            connection.sendall(encode(*words))
            with connection.makefile("rb") as stream:
                return read_reply(stream)

    def _snapshot(self):
        if self.call("BGSAVE") != "Background saving started":
            return "not started"
        process.wait_for(lambda: b"rdb_bgsave_in_progress:0" in self.call("INFO", "persistence"), "snapshot is made")
        return b"rdb_last_bgsave_status:ok" in self.call("INFO", "persistence")

    def workload(self):
        def ask(*words, right):
            return Question(" ".join(str(w)[:40] for w in words), lambda: self.call(*words), right)

        return [
            ask("PING", right="PONG"),
            ask("FLUSHALL", right="OK"),
            ask("SET", "name", b"a\0b\r\n", right="OK"),
            ask("GET", "name", right=b"a\0b\r\n"),
            ask("GET", "nobody", right=None),
            ask("INCRBY", "count", 41, right=41),
            ask("INCR", "count", right=42),
            ask("INCR", "name", right=(Exception, "ERR value is not an integer or out of range")),
            ask("RPUSH", "list", *range(600), right=600),
            ask("LRANGE", "list", 597, -1, right=[b"597", b"598", b"599"]),
            ask("SET", "large", b"x" * 300_000, right="OK"),
            ask("STRLEN", "large", right=300_000),
            ask("EVAL", "return {ARGV[1], redis.call('incr', KEYS[1])}", 1, "count", "x", right=[b"x", 43]),
            ask("EVAL", "return 1 +", 0, right=(Exception, "ERR Error compiling script (new function): "
                                                "user_script:1: unexpected symbol near '<eof>'")),
            Question("snapshot", self._snapshot, True),
            ask("NONSENSE", right=(Exception, "ERR unknown command 'NONSENSE', with args beginning with: ")),
        ]
