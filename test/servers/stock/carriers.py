"""Stock servers with the faults of modules/faults.c behind their requests, and what a request comes to.

done     answered as if nothing had happened
refused  answered with an error
half     the answer broke off; nothing else was lost
dropped  no answer: what a crash looks like from outside
"""

import os
import re
import socket
import time

from servers import client, process

from . import dns
from .apache import Apache
from .named import Named
from .nginx import Nginx
from .sshd import Sshd


def module(name):
    return os.path.join(os.environ["SELFHEAL_SERVER_MODULES"], name)


class Carrier:
    """A server, and how to ask it for a fault. `crashes_apart`: a crash ends a worker, not the server."""

    crashes_apart = True
    died = ("dropped", "half")  # what the one hears who asked for a fault that ended the process
    kept_ledger = True  # one process serves all requests, so its ledger tells what was booked
    healed = None  # what a bad request comes to, where that is not the fault's business

    def __init__(self, server):
        self.server = server

    def ask(self, fault, mood):
        raise NotImplementedError

    def ledger(self):
        """Jobs booked so far."""
        raise NotImplementedError

    def recovered(self):
        """Waits until the server is whole again after a crash."""


class Web(Carrier):
    def ask(self, fault, mood):
        try:
            answer = client.fetch(self.server.port, f"/faults/{fault}/{mood}")
        except client.Dropped as dropped:
            return "half" if dropped.received else "dropped"
        if answer.status >= 500:
            return "refused"
        wanted = b"first half\nsecond half\ndone\n" if fault == "half-answer" else b"done\n"
        return "done" if (answer.status, answer.body) == (200, wanted) else f"wrong: {answer}"

    def ledger(self):
        return int(client.fetch(self.server.port, "/faults/ledger").body.split()[0])


class OnApache(Web):
    def __init__(self, folder, **shape):
        super().__init__(Apache(folder, {"faults": module("mod_faults.so")}, **shape))

    def recovered(self):
        self.server.settled()


class OnNginx(Web):
    def __init__(self, folder, **shape):
        super().__init__(Nginx(folder, {"faults": module("ngx_http_faults_module.so")}, **{"workers": 1, **shape}))

    def recovered(self):
        process.wait_for(self.server.ready, "nginx has its workers back")


class OnNamed(Carrier):
    crashes_apart = False

    def __init__(self, folder):
        super().__init__(Named(folder, [module("named_faults.so")]))

    def _query(self, name):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            s.connect(("127.0.0.1", self.server.port))
            s.send(dns.query(name, "A"))
            deadline = time.monotonic() + 20
            while self.server.running() and time.monotonic() < deadline:
                try:
                    return dns.parse(s.recv(65535))
                except TimeoutError:
                    pass
            raise ConnectionError("no answer")

    def ask(self, fault, mood):
        try:
            code = self._query(f"{fault}.{mood}.faults.test")[0]
        except OSError:
            return "dropped"
        # A name that is not ours is refused as ever; SERVFAIL is the plugin's word for a failure.
        return {"REFUSED": "done", "SERVFAIL": "refused"}.get(code, f"wrong: {code}")

    def ledger(self):
        self._query("ledger.faults.test")
        return int(re.findall(r"faults: (\d+) jobs", self.server.said()["named.err"])[-1])


class OnSshd(Carrier):
    kept_ledger = False
    how = "password"
    prefix = "pam"

    def __init__(self, folder, faults):
        names = [f"{self.prefix}-{fault}.{mood}" for fault in faults for mood in ("good", "bad")]
        super().__init__(self.make(folder, [(name, "lovelace") for name in names]))

    def make(self, folder, users):
        return Sshd(folder, pam_first=f"auth requisite {module('pam_faults.so')}\n", more_users=users)

    def ask(self, fault, mood):
        status, output, errors = self.server.execute("echo done", user=f"{self.prefix}-{fault}.{mood}", how=self.how,
                                                     password="lovelace", options=("LogLevel=INFO",))
        if (status, output) == (0, "done\n"):
            return "done"
        if "Permission denied" in errors:
            return "refused"
        return "dropped" if "closed" in errors or "reset" in errors else f"wrong: {status} {output} {errors}"


class OnSshdKeyboard(OnSshd):
    """PAM in a process of its own. When it dies, sshd ends the connection if it hears of the death first (SIGCHLD), and refuses the login if of
    the closed socket; the kernel closes it before it tells the parent."""
    how = "keyboard-interactive"
    died = ("dropped", "refused")


class OnSshdNames(OnSshd):
    """The lookup of a user's name: when one source fails, libc asks the next."""
    prefix = "nss"
    healed = ("done",)

    def make(self, folder, users):
        server = Sshd(folder, nsswitch="passwd: faults files\nshadow: files\ngroup: files\n", more_users=users)
        server.library_path = os.environ["SELFHEAL_SERVER_MODULES"]
        return server
