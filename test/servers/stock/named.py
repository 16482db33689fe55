"""Stock Debian named: authoritative for one zone, six threads, loopback only."""

import os

from . import dns
from .question import Question
from .server import Server

configuration = """
options {{
  directory "{folder}/run";
  pid-file "{folder}/run/named.pid";
  session-keyfile "{folder}/run/session.key";
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  dnssec-validation no;
  empty-zones-enable no;
  notify no;
  minimal-responses no;
  minimal-any no;
  allow-transfer {{ 127.0.0.1; }};
}};
controls {{ }};
zone "example.test" {{ type primary; file "{folder}/example.test"; }};
zone "closed.test" {{ type primary; file "{folder}/example.test"; allow-transfer {{ none; }}; allow-query {{ none; }}; }};
{plugins}
"""

zone = """$TTL 300
@        IN SOA ns hostmaster 7 3600 600 86400 60
@        IN NS  ns
@        IN MX  10 mail
ns       IN A   192.0.2.1
mail     IN A   192.0.2.2
www      IN A   192.0.2.3
www      IN A   192.0.2.4
www      IN AAAA 2001:db8::3
www      IN TXT "one" "two words"
alias    IN CNAME www
*.wild   IN A   192.0.2.9
""" + "".join(f"big IN TXT \"{i:03d} {'x' * 100}\"\n" for i in range(30))


class Named(Server):
    """`plugins`: query plugins of one's own."""

    name = "named"
    # Said by one run in some dozens on its way out, without us, too.
    by_chance = r"automatic interface scanning terminated"

    def __init__(self, folder, plugins=(), program="/usr/sbin/named"):
        super().__init__(folder)
        self.program = program
        os.makedirs(self.path("run"), exist_ok=True)
        os.chmod(self.path("run"), 0o777)
        self.write("example.test", zone)
        self.write("named.conf", configuration.format(
            folder=self.folder, port=self.port, plugins="".join(f'plugin query "{p}" {{ }};\n' for p in plugins)))

    def command(self):
        user = ["-u", "bind"] if os.geteuid() == 0 else []
        return [self.program, "-g", "-c", self.path("named.conf"), "-n", "2", *user]

    def ready(self):
        return "running\n" in self.said().get("named.err", "")

    def ask(self, name, kind):
        return dns.parse(dns.over_udp(self.port, dns.query(name, kind)))

    def malformed(self, message):
        """The answer's rcode; None when a good query sent right behind it is answered instead."""
        import socket
        good = dns.query("www.example.test", "A", 0x4242)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(20)
            s.connect(("127.0.0.1", self.port))
            s.send(message)
            s.send(good)
            answers = [s.recv(65535)]
            if answers[0][:2] != b"\x42\x42":
                answers.append(s.recv(65535))
        rest = [a for a in answers if a[:2] != b"\x42\x42"]
        return dns.codes[rest[0][3] & 15] if rest else None

    def workload(self):
        def answers(records):
            return tuple(r[2:] for r in records if r[0] == "answer")

        def udp(name, kind, *right, code="NOERROR"):
            right = tuple(sorted((k, 300, data) for k, data in right))
            return Question(f"{name} {kind}", lambda: self.ask(name, kind), (code, True, right),
                            lambda a: (a[0], a[1], tuple(sorted(answers(a[3])))))

        def tcp(name, kind, count):
            return Question(f"{name} {kind} by TCP",
                            lambda: dns.parse(dns.over_tcp(self.port, dns.query(name, kind))[0]),
                            ("NOERROR", False, count), lambda a: (a[0], a[2], len(answers(a[3]))))

        def malformed(name, message, right):
            return Question(name, lambda: self.malformed(message), right)

        www = [("A", "192.0.2.3"), ("A", "192.0.2.4")]
        header = dns.query("www.example.test", "A")
        return [
            udp("www.example.test", "A", *www),
            udp("www.example.test", "AAAA", ("AAAA", "2001:db8::3")),
            udp("www.example.test", "TXT", ("TXT", '"one" "two words"')),
            udp("www.example.test", "ANY", *www, ("AAAA", "2001:db8::3"), ("TXT", '"one" "two words"')),
            udp("alias.example.test", "A", ("CNAME", "www.example.test."), *www),
            udp("example.test", "MX", ("MX", "10 mail.example.test.")),
            udp("a.b.wild.example.test", "A", ("A", "192.0.2.9")),
            udp("nobody.example.test", "A", code="NXDOMAIN"),
            udp("mail.example.test", "AAAA"),
            Question("not ours", lambda: self.ask("www.example.com", "A"), "REFUSED", lambda a: a[0]),
            Question("closed", lambda: self.ask("www.closed.test", "A"), "REFUSED", lambda a: a[0]),
            Question("truncated", lambda: self.ask("big.example.test", "TXT")[:3], ("NOERROR", True, True)),
            tcp("big.example.test", "TXT", 30),
            tcp("www.example.test", "A", 2),
            Question("transfer", lambda: dns.transfer(self.port, "example.test"), ("NOERROR", 42),
                     lambda a: (a[0], len(a[1]))),
            Question("transfer refused", lambda: dns.transfer(self.port, "closed.test")[0], "REFUSED"),
            malformed("short packet", b"\x12\x34\x00", None),
            malformed("an answer, not a question", header[:2] + b"\x80" + header[3:], None),
            malformed("name that is cut off", header[:20], "FORMERR"),
            malformed("name that points to itself", header[:12] + b"\xc0\x0c\x00\x01\x00\x01", "FORMERR"),
            malformed("more questions than there are", header[:5] + b"\x09" + header[6:], "FORMERR"),
            malformed("unknown opcode", header[:2] + b"\x78" + header[3:], "NOTIMP"),
        ]
