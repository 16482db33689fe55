"""A fault in the stock code of each kind of process: recorded, and the next one healed in that process.

Mutants (stock/mutant.py): the distribution's files with one fault in the middle of one function, which only one
question comes by. First run: that question ends the process. Second run: it is answered, by an error or even
rightly, and all other questions are answered as ever.
"""

import json
import os

from servers import case, client
from stock import dns
from stock.apache import Apache, modules
from stock.mutant import Mutant, faults
from stock.named import Named
from stock.nginx import Nginx
from stock.question import put
from stock.sshd import Sshd

sshd = "/usr/sbin/sshd"

# What a client's password program sees of the sandboxed child that is serving its connection.
look_at_sandbox = """#!/bin/sh
for status in /proc/[0-9]*/status; do
  if grep -qs '^Seccomp:.2' "$status" && [ "$(readlink "${status%/*}/exe")" = "$SERVER" ]; then
    echo "${status%/*}" >> "$SEEN"
    egrep '^(Uid|Gid|NoNewPrivs|Seccomp|Seccomp_filters|CapEff|CapBnd|SigIgn)' "$status" >> "$SEEN"
    grep -E '(Max file size|Max processes|Max open files)' "${status%/*}/limits" >> "$SEEN"
    readlink "${status%/*}/root" >> "$SEEN"
  fi
done
printf '%s\\n' "$PASSWORD"
"""


def lasting(server):
    """The processes that serve more than one connection: of sshd the listener."""
    return [pid for pid in server.processes() if pid == server.pid] if isinstance(server, Sshd) else server.processes()


class Processes(case.Case):
    def region(self, store, mutant):
        """The one region of the store, which must be the mutant's function."""
        region, = store.regions()
        self.assertEqual(int(region["offset"], 16), mutant.entry, region)
        return json.loads(store.cli("info", "--json", region["id"]))

    def check(self, server, mutant, question, dropped, answered, value=None):
        """`question()` must be `dropped` without us and in the first run, and `answered` in the second.

        Where the function decides about access that takes a `value`, which somebody names who knows what it means:
        until then, the second run is as the first.
        """
        store = self.store()
        others = server.workload()
        server.start()
        self.assertEqual(question(), dropped, "without the runtime")
        server.stop()
        server.start(store.environment())
        self.assertEqual(question(), dropped, "first run")
        server.stop()
        if value is not None:
            server.start(store.environment())
            self.assertEqual(question(), dropped, "a value was guessed")
            server.stop()
            store.cli("set", self.region(store, mutant)["id"], "--value", str(value))
        self.assertEqual(self.region(store, mutant)["heals"], 0)
        server.start(store.environment("heals_per_minute=100000"))
        try:
            server.settled()
            before = lasting(server)
            for _ in range(3):
                self.assertIn(question(), answered, server.everything_said()[-2000:])
            put(others)
            server.settled()
            self.assertEqual(lasting(server), before, "the same processes serve")
        finally:
            server.kill()  # named waits for ever for a client that a healed void function did not let go
        region = self.region(store, mutant)
        self.assertGreaterEqual(region["heals"], 3)
        return region

    # sshd

    def sshd(self, fault, text, **where):
        mutant = Mutant(sshd, self.folder + "/bin", fault, text, **where)
        return Sshd(self.folder, program=mutant.path), mutant

    def login(self, server, how, **more):
        status, output, errors = server.execute("echo in", how=how, password="lovelace",
                                                options=("LogLevel=INFO", "NumberOfPasswordPrompts=2"), **more)
        if status == 0:
            return output
        return "refused" if "Permission denied" in errors else "closed"

    def sandboxed(self, fault):
        """Keyboard-interactive faults in the child that has given up everything but a few system calls; then the
        same child goes on to the password.
        """
        server, mutant = self.sshd(fault, "keyboard-interactive devs %s")
        others = [q for q in server.workload() if "interactive" not in q.name and "answer" not in q.name]
        server.workload = lambda: others
        region = self.check(server, mutant, lambda: self.login(server, "keyboard-interactive,password"), "closed", ["in\n"])
        return server, region

    def test_sshd_sandboxed_child(self):
        """The heal comes by a signal, inside the sandbox; rt_sigreturn would be its end."""
        server, _ = self.sandboxed("wild")
        seen = self.folder + "/seen"
        server.write("ask", look_at_sandbox, 0o755)
        looks = {}
        for name, environment in (("alone", None), ("healed", self.store().environment())):
            with open(seen, "w", encoding="utf-8"):
                pass
            os.environ.update(SEEN=seen, SERVER=os.path.realpath(server.program))
            with server.start(environment):
                # Without us the child does not live to ask for a password after keyboard-interactive.
                how = "password" if name == "alone" else "keyboard-interactive,password"
                self.assertEqual(self.login(server, how), "in\n")
            with open(seen, encoding="utf-8") as f:
                looks[name] = f.read().split("\n", 1)
        self.assertEqual(looks["healed"][1], looks["alone"][1], "the sandbox is not what it was")
        self.assertIn("Seccomp:\t2\nSeccomp_filters:\t1\n", looks["alone"][1])
        region, = self.store().regions()
        healed = json.loads(self.store().cli("info", "--json", region["id"]))["last_heal"]["pid"]
        self.assertEqual(looks["healed"][0], f"/proc/{healed}", "healed in the sandboxed child")

    def test_sshd_sandboxed_child_every_fault(self):
        for fault in sorted(faults):
            if fault != "wild":
                with self.subTest(fault=fault):
                    self.folder = os.path.join(self.folder, fault)
                    os.makedirs(self.folder)
                    self.sandboxed(fault)
                    self.folder = os.path.dirname(self.folder)

    def test_sshd_monitor(self):
        """The re-executed session process, which is root; a login that PAM has accepted is not accepted after all,
        as the operator has said that the function's 0 is a no.
        """
        server, mutant = self.sshd("wild", "PAM: password authentication accepted for %.100s")
        others = [q for q in server.workload() if q.name != "password"]
        server.workload = lambda: others
        self.check(server, mutant, lambda: self.login(server, "password"), "closed", ["refused"], value=0)

    def test_sshd_lets_nobody_in(self):
        """A fault where a wrong password is refused must not become a right one: nothing is guessed there."""
        server, mutant = self.sshd("null", "PAM: password authentication failed for %.100s: %s")
        others = [q for q in server.workload() if not q.name.startswith(("wrong password", "unknown"))]
        server.workload = lambda: others

        def wrong():
            status, output, errors = server.execute("id", how="password", password="byron", options=("LogLevel=INFO",))
            return output or ("refused" if "Permission denied" in errors else "closed")

        self.check(server, mutant, wrong, "closed", ["refused"], value=0)

    def test_sshd_user_process(self):
        """After the login, as the user: the request for sftp."""
        server, mutant = self.sshd("divide", "subsystem request for %.100s by user %s")
        others = [q for q in server.workload() if q.name != "sftp"]
        server.workload = lambda: others

        def sftp():
            errors = server.client("sftp", "-q", "-b", "/dev/null", "127.0.0.1", options=("LogLevel=INFO",))[2]
            return "lost" if "closed by remote host" in errors else "refused"

        self.check(server, mutant, sftp, "lost", ["refused"])

    # The others

    def test_nginx_worker(self):
        mutant = Mutant("/usr/sbin/nginx", self.folder + "/bin", "wild", "user \"%V\": password mismatch")
        server = Nginx(self.folder, program=mutant.path)
        wrong = client.Request("/secret/small.txt", headers=(("Authorization", "Basic YWRhOmJ5cm9u"),))
        self.check(server, mutant, lambda: self.web(server, wrong), "dropped", [403], value=403)

    def test_apache_reloaded_module(self):
        """httpd loads its modules, unloads them and loads them again before it serves."""
        mutant = Mutant(modules + "/mod_proxy_http.so", self.folder + "/bin", "wild", "force-proxy-request-1.0")
        server = Apache(self.folder, children=1, replaced={"proxy_http": mutant.path})
        others = [q for q in server.workload() if q.name != "proxy"]
        server.workload = lambda: others
        self.check(server, mutant, lambda: self.web(server, "/proxied/small.txt"), "dropped", [500, 502, 503])

    def web(self, server, request):
        try:
            return client.fetch(server.port, request).status
        except client.Dropped:
            return "dropped"

    def test_named_thread(self):
        """A transfer, in one of named's threads; its function returns nothing, so its client gets none."""
        mutant = Mutant(self.library_of("/usr/sbin/named", "libns"), self.folder + "/lib", "wild",
                        "%s question section OK")
        server = Named(self.folder)
        server.library_path = self.folder + "/lib"
        others = [q for q in server.workload() if not q.name.startswith("transfer")]
        server.workload = lambda: others

        def transfer():
            try:
                dns.over_tcp(server.port, dns.query("example.test", "AXFR"), timeout=1)
                return "answered"
            except TimeoutError:
                return "no answer"
            except OSError:
                return "lost"

        self.check(server, mutant, transfer, "lost", ["no answer"])

    def library_of(self, program, name):
        import subprocess
        for line in subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.splitlines():
            if name in line:
                return line.split("=>")[1].split()[0]
        raise AssertionError(f"{program} needs no {name}")


if __name__ == "__main__":
    case.main()
