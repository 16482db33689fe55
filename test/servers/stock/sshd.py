"""Stock Debian sshd in a mount namespace: its users, PAM and NSS configuration are the test's own.

Nobody is added to the machine: passwd, shadow and group are copies with two users more, which only this
sshd sees. Each connection is served by a listener, a re-executed session process and a sandboxed child.
"""

import os
import subprocess

from servers import process, runtime

from . import private
from .question import Question
from .server import Server

patience = 90  # seconds for a login and its command

configuration = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/keys/%u
StrictModes no
UsePAM yes
PasswordAuthentication yes
KbdInteractiveAuthentication yes
PubkeyAuthentication yes
UseDNS no
PrintMotd no
LogLevel INFO
MaxStartups 100
LoginGraceTime 60
Subsystem sftp /usr/lib/openssh/sftp-server
{extra}
"""

pam = "{extra}auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n"
users = (("ada", 64001, "lovelace"), ("bruno", 64002, "no-such-key"))


def _read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def _command(*arguments, **keywords):
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60, **keywords).stdout


class Sshd(Server):
    """`pam_first` and `nsswitch`: lines for PAM's stack and for nsswitch.conf; `binds`: more files of one's own;
    `more_users`: (name, password)."""

    name = "sshd"

    def __init__(self, folder, program="/usr/sbin/sshd", pam_first="", nsswitch="", extra="", binds=(), more_users=()):
        super().__init__(folder)
        self.program = program
        if not os.path.exists(self.path("host_key")):
            for key in ("host_key", "ada_key", "other_key"):
                _command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", self.path(key))
        self.write("keys/ada", _read(self.path("ada_key.pub")))
        self.write("known_hosts", f"[127.0.0.1]:{self.port} " + _read(self.path("host_key.pub")))
        self.write("sshd_config", configuration.format(folder=self.folder, port=self.port, extra=extra))
        self.write("ask", '#!/bin/sh\nprintf "%s\\n" "$PASSWORD"\n', 0o755)
        self.write("hello.txt", "hello from a file\n" * 4000)
        self.binds = [(self._etc("pam.d/sshd", pam.format(extra=pam_first), keep=False), "/etc/pam.d/sshd"), *binds]
        if nsswitch:
            self.binds.append((self._etc("nsswitch.conf", nsswitch, keep=False), "/etc/nsswitch.conf"))
        passwd = shadow = group = ""
        every = users + tuple((name, 64003 + i, password) for i, (name, password) in enumerate(more_users))
        hashes = {p: _command("openssl", "passwd", "-5", "-salt", "selfheal", p).strip() for _, _, p in every}
        for user, number, password in every:
            home = self.path("home", user)
            os.makedirs(home, exist_ok=True)
            os.chown(home, number, number)
            hashed = hashes[password]
            passwd += f"{user}:x:{number}:{number}::{home}:/bin/sh\n"
            shadow += f"{user}:{hashed}:19000:0:99999:7:::\n"
            group += f"{user}:x:{number}:\n"
        for name, lines, mode in (("passwd", passwd, 0o644), ("shadow", shadow, 0o600), ("group", group, 0o644)):
            self.binds.append((self._etc(name, lines, mode=mode), "/etc/" + name))

    def _etc(self, name, lines, keep=True, mode=0o644):
        before = _read("/etc/" + name) if keep else ""
        return self.write("etc/" + name, before + lines, mode)

    def command(self):
        return [self.program, "-D", "-e", "-f", self.path("sshd_config")]

    def launch(self, environment):
        return private.namespace(self.command(), environment, self.binds, ["/run//sshd"])

    def settled(self):
        super().settled()
        process.wait_for(lambda: not self.children(), "all sessions have ended")

    # Clients.

    def client(self, program, *arguments, user="ada", how="publickey", key="ada_key", password=None, options=()):
        """(status, output, errors) of ssh or sftp, which may log in in one way only."""
        settings = {"UserKnownHostsFile": self.path("known_hosts"), "GlobalKnownHostsFile": "/dev/null",
                    "StrictHostKeyChecking": "yes", "PreferredAuthentications": how, "LogLevel": "ERROR",
                    "IdentitiesOnly": "yes", "IdentityFile": self.path(key), "IdentityAgent": "none", "Port": self.port,
                    "User": user, "NumberOfPasswordPrompts": 1, "ConnectTimeout": 30,
                    "KexAlgorithms": "curve25519-sha256"}  # ssh's own first choice takes a tenth of a second
        flags = [f"-o{o}" for o in options] + [f"-o{name}={value}" for name, value in settings.items()]
        environment = {**runtime.plain_environment(), "SSH_ASKPASS": self.path("ask"), "SSH_ASKPASS_REQUIRE": "force",
                       "PASSWORD": password or ""}
        run = subprocess.run([program, "-F", "none", *flags, *arguments], env=environment, capture_output=True,
                             stdin=subprocess.DEVNULL, timeout=patience, check=False, cwd=self.folder)
        return run.returncode, run.stdout.decode(errors="replace"), run.stderr.decode(errors="replace")

    def execute(self, command, **how):
        return self.client("ssh", "127.0.0.1", command, **how)

    def _fetch_by_sftp(self):
        got = self.path("fetched")
        if os.path.exists(got):
            os.remove(got)
        self.write("batch", f"get {self.path('hello.txt')} {got}\nput {got} sent.txt\nrename sent.txt kept.txt\nls\nrm kept.txt\n")
        status = self.client("sftp", "-q", "-b", self.path("batch"), "127.0.0.1")[0]
        return status, _read(got) if os.path.exists(got) else None

    def workload(self):
        def login(name, right, **how):
            return Question(name, lambda: self.execute("id -un; printf '%s' \"${LD_PRELOAD-none}\"", **how), right,
                            lambda a: a[:2])

        def refused(name, **how):
            return Question(name, lambda: self.execute("id", **how), (255, ""), lambda a: a[:2])

        welcome = (0, "ada\nnone")
        return [
            login("public key", welcome, options=("KexAlgorithms=sntrup761x25519-sha512@openssh.com",)),
            login("password", welcome, how="password", password="lovelace"),
            login("keyboard-interactive", welcome, how="keyboard-interactive", password="lovelace"),
            refused("wrong key", key="other_key"),
            refused("wrong password", how="password", password="byron"),
            refused("wrong answer", how="keyboard-interactive", password="byron"),
            refused("unknown user", user="nobody-here", how="password", password="lovelace"),
            refused("user without a key", user="bruno"),
            Question("status and both outputs", lambda: self.execute("echo out; echo err >&2; exit 3"),
                     (3, "out\n", "err\n")),
            Question("input of a megabyte", lambda: self.execute("head -c 1000000 /dev/zero | md5sum"),
                     (0, "879f4bba57ed37c9ec5e5aedf9864698  -\n"), lambda a: a[:2]),
            Question("sftp", self._fetch_by_sftp, (0, "hello from a file\n" * 4000)),
        ]
