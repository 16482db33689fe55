"""Apache with the bugs of modules/mod_attacks.c, and what an attacker sees of it."""

import socket

from servers import client

from . import carriers
from .apache import Apache


class Attacked(Apache):
    """`settled` waits also until who died has been buried and replaced. Apache's parent looks once a second; as the
    store is its own, that is when the other children come to know what one has died of.
    """

    def __init__(self, folder, frames="mod_attacks.so", mpm="prefork", children=6, **shape):
        super().__init__(folder, {"attacks": carriers.module(frames)}, mpm=mpm, children=children, **shape)
        if mpm == "prefork":
            with open(self.path("httpd.conf"), "a", encoding="utf-8") as f:
                f.write(f"MinSpareServers {children}\n")

    def ask(self, attack, payload=b"", timeout=60.0):
        """The answer's text; "refused": an error; "dropped": no answer; "silent": none in time."""
        digits = payload.hex() if isinstance(payload, bytes) else f"{payload:x}"
        try:
            answer = client.fetch(self.port, f"/attacks/{attack}?{digits}", timeout)
        except client.Dropped:
            return "dropped"
        except TimeoutError:
            return "silent"
        return "refused" if answer.status >= 500 else answer.body.decode().strip()

    def told(self):
        """What a leak of memory would tell: the addresses of attack_steal() and of data, and the canary."""
        steal, data, canary = (int(word, 16) for word in self.ask("told").split())
        return steal, data, canary.to_bytes(8, "little")

    def stolen(self):
        """How often the attacker's code ran."""
        return self.said().get("error.log", "").count("STOLEN")

    def begin(self, attack, payload):
        """Sends a request and does not wait for an answer; the socket."""
        connection = socket.create_connection(("127.0.0.1", self.port), 60)
        connection.sendall(f"GET /attacks/{attack}?{payload:x} HTTP/1.0\r\n\r\n".encode())
        return connection


def word(number):
    return number.to_bytes(8, "little")

