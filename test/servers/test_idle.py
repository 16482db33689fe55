"""Each stock server starts, serves and stops unchanged under the idle runtime.

Twice the same workload, without and with the runtime: the same answers, the same exit status, the same
lines in every log but for pids and times, and nothing recorded. A test a server; run one with
    python3 test_idle.py Idle.test_named
"""

import os
import pwd
import subprocess

from servers import case, maps, runtime
from stock.all import servers
from stock.question import put


class Idle(case.Case):
    def run_once(self, server, environment, reference=None):
        """(answers, exit status, log lines, programs of the server's processes)"""
        server.start(environment)
        try:
            answers = put(server.workload(), reference)
            server.settled()
            processes = server.processes()
            covered = [pid for pid in processes if maps.maps_library(pid)]
            unsafe = [m for pid in processes for m in maps.writable_and_executable(pid)]
        finally:
            status = server.stop()
        return answers, status, server.said_without_times(), processes, covered, unsafe

    def check(self, server, store=None):
        store = store or self.store()
        reference, status, lines, *_, unsafe_alone = self.run_once(server, None)
        _, status_idle, lines_idle, processes, covered, unsafe = self.run_once(server, store.environment(), reference)
        self.assertEqual(covered, processes, "the runtime is not in every process")
        self.assertEqual(unsafe, unsafe_alone, "writable and executable memory")
        self.assertEqual(status_idle, status, "exit status")
        self.assertEqual(lines_idle, lines)
        self.assertEqual(store.regions(), [], "nothing was to be recorded")
        self.assertEqual(store.history_size(), 0, "nothing was to be recorded")

    def test_apache_prefork(self):
        self.check(servers["apache_prefork"](self.folder))

    def test_apache_worker(self):
        self.check(servers["apache_worker"](self.folder))

    def test_apache_event(self):
        self.check(servers["apache_event"](self.folder))

    def test_nginx(self):
        self.check(servers["nginx"](self.folder))

    def test_sshd(self):
        self.check(servers["sshd"](self.folder))

    def test_named(self):
        self.check(servers["named"](self.folder))

    def test_lighttpd(self):
        self.check(servers["lighttpd"](self.folder))

    def test_haproxy(self):
        self.check(servers["haproxy"](self.folder))

    def test_redis(self):
        self.check(servers["redis"](self.folder))

    def test_memcached(self):
        self.check(servers["memcached"](self.folder))

    def test_postgresql(self):
        """It starts as its own user: root's store is given to its group, as docs/store.md says."""
        store = self.store()
        subprocess.run(["/bin/true"], env=store.environment(), check=True, timeout=60)
        group = pwd.getpwnam("postgres").pw_gid
        for name, mode in (("", 0o2750), ("journal", 0o660), ("catalog", 0o640), ("live", 0o640)):
            path = os.path.join(store.folder, name)
            if os.path.exists(path):
                os.chown(path, -1, group)
                os.chmod(path, mode)
        self.check(servers["postgresql"](self.folder), store)


if __name__ == "__main__":
    case.main()
