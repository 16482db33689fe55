"""Stock Debian PostgreSQL: a cluster of its own, as user postgres from before the exec, one backend a question."""

import glob
import os
import signal
import subprocess

from servers import runtime

from . import private
from .question import Question
from .server import Server

programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1:]


def program(name):
    return os.path.join(*programs, name)


def as_postgres():
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []


class Postgresql(Server):
    name = "postgresql"
    stop_signal = signal.SIGINT  # the "fast" shutdown

    def __init__(self, folder):
        super().__init__(folder)
        self.data = self.path("data")
        if os.geteuid() == 0:
            import pwd
            os.chown(self.folder, pwd.getpwnam("postgres").pw_uid, -1)
        if not os.path.exists(self.data):
            subprocess.run([*as_postgres(), program("initdb"), "--no-sync", "--auth=trust", "--username=ada",
                            "--encoding=UTF8", "--locale=C", "-D", self.data], check=True, capture_output=True,
                           cwd=self.folder, env=runtime.plain_environment(), timeout=120)

    def command(self):
        return [program("postgres"), "-D", self.data, "-p", self.port, "-h", "127.0.0.1", "-k", self.folder,
                "-c", "fsync=off", "-c", "shared_buffers=8MB", "-c", "log_checkpoints=off"]

    def launch(self, environment):
        given = {k: v for k, v in environment.items() if k in private.runtime_names}
        around = {k: v for k, v in environment.items() if k not in given}
        return [*as_postgres(), "env", *(f"{k}={v}" for k, v in given.items()), *self.command()], around

    def ready(self):
        return "database system is ready to accept connections" in self.said().get("postgresql.err", "")

    def query(self, text):
        """Rows as lines, or the error."""
        run = subprocess.run([program("psql"), "-X", "-A", "-t", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "ada",
                              "-d", "postgres", "-c", text], env=runtime.plain_environment(), capture_output=True,
                             text=True, timeout=60, check=False)
        return run.returncode, run.stdout, run.stderr

    def workload(self):
        def ask(text, right, status=0):
            return Question(text, lambda: self.query(text), (status, right), lambda a: (a[0], a[2] if a[0] else a[1]))

        return [
            ask("create table stock(item text primary key, count int)", ""),
            ask("insert into stock select 'item ' || n, n from generate_series(1, 3000) n", ""),
            ask("select count(*), sum(count), max(length(item)) from stock", "3000|4501500|9\n"),
            ask("select item from stock where count between 7 and 9 order by count desc", "item 9\nitem 8\nitem 7\n"),
            ask("insert into stock values ('item 1', 1)",
                'ERROR:  duplicate key value violates unique constraint "stock_pkey"\n'
                "DETAIL:  Key (item)=(item 1) already exists.\n", 1),
            ask("select 1/0", "ERROR:  division by zero\n", 1),
            ask("select exp(1000000::float8)", "ERROR:  value out of range: overflow\n", 1),
            ask("begin; delete from stock; rollback; select count(*) from stock", "3000\n"),
            ask("set statement_timeout = 300; select pg_sleep(60)",
                "ERROR:  canceling statement due to statement timeout\n", 1),
            ask("select md5(string_agg(item, ',' order by item)) from stock", "f6db2ce213de6e7bc4efd7089d2b572c\n"),
            ask("drop table stock", ""),
            ask("nonsense", 'ERROR:  syntax error at or near "nonsense"\nLINE 1: nonsense\n        ^\n', 1),
        ]
