#!/usr/bin/env python3
"""Debian's own apache, nginx, named and sshd for `selfheal campaign`: configuration, workload and check.

    stock.py SERVER prepare    fills $SELFHEAL_CAMPAIGN_DIR (in the cell: may mount over what it likes)
    stock.py SERVER ask        the workload: every question of test/servers/stock, NAME <TAB> ok DIGEST,
                               or refused WHAT DIGEST, or error WHAT
    stock.py SERVER check      status 0 when the first questions are answered rightly
    stock.py SERVER campaign   runs `selfheal campaign` with all that; what follows are its own options

An answer is printed as a digest of all of it (status, headers but the date and those of the connection, body). `error` is what a client sees
as the service being denied: no answer, a broken connection, HTTP 4xx and 5xx, SERVFAIL and its kin, a login that
is refused. Where that is the right answer it is `refused`, and the campaign takes a different refusal for an error.
A login that is granted where it should be refused is neither: it prints as an answer, a wrong one.
"""

import hashlib
import os
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, "..", "test", "servers"), os.path.join(here, "..", "test", "integration")]
sys.dont_write_bytecode = True

from servers import client  # noqa: E402  (the paths above come first)
from stock import all as stock, dns, sshd, web  # noqa: E402
from stock import server as stock_server  # noqa: E402

lingering = {"apache_event": 65, "nginx": 65, "named": 35, "sshd": 125}  # seconds: their longest time-outs, as shipped
port = 8080  # of each copy: its network is its own
patience = {"apache_event": 5.0, "nginx": 5.0, "named": 2.0, "sshd": 5.0}  # seconds for an answer
timeout = 200  # for all answers: more than `patience` for each, so that requests that are dropped are no hang
framing = ("connection", "keep-alive", "transfer-encoding", "content-length")  # RFC 9112: of the connection

modules = {
    "apache_event": ["apache2", "mod_*", "libapr-1*", "libaprutil-1*"],
    "nginx": ["nginx"],
    "named": ["named", "libdns-*", "libns-*", "libisc-*", "libisccfg-*"],
    "sshd": ["sshd"],
}


def be_patient(name):
    """As long as is sensible for a server that may hang: the drivers wait longer."""
    seconds = patience[name]
    for ask in (client.fetch, client.exchange, dns.over_udp, dns.over_tcp):
        defaults = list(ask.__defaults__)
        defaults[-1] = seconds
        ask.__defaults__ = tuple(defaults)
    sshd.patience = 3 * seconds  # a login is ten processes and as many round trips


def driver(name, folder, fill):
    client.free_port = lambda: port
    if not fill:  # what is there is in use
        write = stock_server.Server.write
        stock_server.Server.write = lambda self, file, *rest, **more: (
            self.path(file) if os.path.exists(self.path(file)) else write(self, file, *rest, **more))
        web.write_documents = lambda _: None
    return stock.servers[name](folder)


def own_run():
    """An empty /run, the copy's own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)


def shorten_socket(folder):
    """httpd cuts the name of its CGI daemon's socket off where sockaddr_un ends, without a word."""
    file = os.path.join(folder, "httpd.conf")
    with open(file, encoding="utf-8") as f:
        lines = f.readlines()
    with open(file, "w", encoding="utf-8") as f:
        f.writelines('ScriptSock "/run/cgid.sock"\n' if line.startswith("ScriptSock") else line for line in lines)


def prepare(name, folder):
    server = driver(name, folder, True)
    if name == "apache_event":
        own_run()
        shorten_socket(os.path.join(folder, "apache-event"))
    if name == "sshd":
        for own, theirs in server.binds:
            # Of the run before: nothing can be mounted over a mount whose file is gone.
            subprocess.run(["umount", theirs], check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["mount", "--bind", own, theirs], check=True)
        own_run()
        os.mkdir("/run/sshd")


def denied(name, question, answer):
    """What to print of an answer that says no; None for any other."""
    if isinstance(answer, client.Answer):
        return f"HTTP {answer.status}" if answer.status >= 400 else None
    if isinstance(answer, bytes):  # a status line
        if answer and not answer.startswith(b"HTTP/"):
            return "BadStatusLine"  # as clients say that know what they wait for
        return answer[:40].decode("latin-1") or "nothing" if answer[9:10] in (b"", b"4", b"5") else None
    if name == "named":
        code = answer[0] if isinstance(answer, tuple) else answer
        return str(code) if code in ("SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", None) else None
    if name == "sshd":
        return f"status {answer[0]}" if answer[0] != 0 else None
    return None


def shown(name, question, answer, right):
    """What an answer's digest is made of: not how it was cut into pieces, and of ssh not who refused, and in what words."""
    if isinstance(answer, client.Answer) and answer.body:
        return answer.status, [h for h in answer.headers if h[0].lower() not in framing], answer.body
    return question.view(answer) if name == "sshd" and right else answer


def ask(name, folder):
    be_patient(name)
    server = driver(name, folder, False)
    for question in server.workload():
        try:
            answer = question.ask()
        except Exception as problem:  # whatever breaks a client is the service being denied
            print(f"{question}\terror {type(problem).__name__}", flush=True)
            continue
        right = False
        try:
            right = question.view(answer) == question.right
        except Exception:
            pass
        refusal = denied(name, question, answer)
        digest = hashlib.sha256(repr(shown(name, question, answer, right)).encode()).hexdigest()[:16]
        said = f"ok {digest}" if not refusal else f"refused {refusal} {digest}" if right else f"error {refusal}"
        print(f"{question}\t{said}", flush=True)


def check(name, folder):
    be_patient(name)
    server = driver(name, folder, False)
    for question in server.workload()[:2]:
        if question.view(question.ask()) != question.right:
            sys.exit(f"{question}: wrong")


def campaign(name, more):
    me = f"{sys.executable} {os.path.abspath(__file__)} {name}"
    words = [os.environ.get("SELFHEAL_CLI", "selfheal"), "campaign", "--prepare", f"{me} prepare", "--workload",
             f"{me} ask", "--check", f"{me} check", "--timeout", str(timeout), "--linger", str(lingering[name])]
    for module in modules[name]:
        words += ["--module", module]
    if name == "named":
        words += ["--ready", "grep -qs running$ {dir}/named/run/named.log"]
    os.execvp(words[0], [*words, *more, "--", *commands[name]])


commands = {
    "apache_event": ["/usr/sbin/apache2", "-DFOREGROUND", "-d", "{dir}/apache-event", "-f",
                     "{dir}/apache-event/httpd.conf"],
    "nginx": ["/usr/sbin/nginx", "-p", "{dir}/nginx", "-c", "{dir}/nginx/nginx.conf", "-e", "{dir}/nginx/error.log"],
    "named": ["/usr/sbin/named", "-f", "-c", "{dir}/named/named.conf", "-n", "2", "-u", "bind", "-L",
              "{dir}/named/run/named.log"],
    "sshd": ["/usr/sbin/sshd", "-D", "-e", "-f", "{dir}/sshd/sshd_config"],
}


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in commands or sys.argv[2] not in ("prepare", "ask", "check", "campaign"):
        sys.exit(__doc__)
    name, what = sys.argv[1:3]
    if what == "campaign":
        campaign(name, sys.argv[3:])
    else:
        {"prepare": prepare, "ask": ask, "check": check}[what](name, os.environ["SELFHEAL_CAMPAIGN_DIR"])


if __name__ == "__main__":
    main()
