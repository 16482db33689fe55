"""What all stock servers have in common.

A server lives in a folder of its own, which may serve several runs one after the other: port, keys and
documents stay, so the answers of two runs must be the same. Each run has fresh log files.
"""

import os
import re
import signal
import sys

from servers import client, maps, process, runtime

from . import private, restricted

# What differs from run to run in log lines: times, and numbers of three digits or more (pids, ports,
# inodes). Statuses and signals are shorter and are compared.
_times = re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b,? |\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
                    r"|\b\d{1,4}([-/:.])\d\d?\1\d{1,4}(?:[.,]\d+)?\b|\b\d+[.,]\d+ ?(?:seconds|secs|s)\b")
_numbers = re.compile(r"(?<![\w.])(?:0x[0-9a-f]+|\*?\d{3,}|\*\d+)(?!\w)")


class Server:
    name = "server"
    stop_signal = signal.SIGTERM
    start_seconds = 30.0
    by_chance = None  # a pattern of log lines that one run has and the next has not

    def __init__(self, folder):
        self.folder = os.path.join(folder, self.name)
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)  # servers that drop root have to reach it
        self.port = client.free_port()
        self._process = None
        self.last_status = None
        self.library_path = None  # where changed libraries lie
        self.restriction = None  # of restricted.py

    # What a server's driver says.

    def command(self):
        """Program and arguments, in the foreground."""
        raise NotImplementedError

    def ready(self):
        return client.is_listening(self.port)

    def log_files(self):
        return []

    def workload(self):
        """Questions with exact answers; the same each time they are put to a fresh server."""
        raise NotImplementedError

    def launch(self, environment):
        """The process's arguments and environment; for servers that need something set up around them."""
        return self.command(), environment

    # The same for all.

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, content, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    def start(self, environment=None):
        for log in self.log_files():
            if os.path.exists(log):
                os.truncate(log, 0)
        environment = environment or runtime.plain_environment()
        if self.library_path:
            environment = {**environment, "LD_LIBRARY_PATH": self.library_path}
        arguments, environment = self.launch(environment)
        if self.restriction:
            ours = {k: v for k, v in environment.items() if k in private.runtime_names}
            environment = {k: v for k, v in environment.items() if k not in ours}
            arguments = [sys.executable, restricted.__file__, self.restriction, *(f"{k}={v}" for k, v in ours.items()),
                         *arguments]
        self._process = process.Process(arguments, self.folder, self.name, environment)
        try:
            process.wait_for(lambda: not self._process.running() or self.ready(), f"{self.name} serves",
                             self.start_seconds)
        except process.Timeout as slow:
            said = self.everything_said()
            self.kill()
            raise AssertionError(f"{slow}\n{said}") from None
        if not self._process.running():
            raise AssertionError(f"{self.name} ended: {self._process.status()} {self.everything_said()}")
        return self

    def stop(self):
        """Returns the exit status; None when it was not running."""
        if not self._process:
            return None
        running, self._process = self._process, None
        self.last_status = running.stop(self.stop_signal)
        return self.last_status

    def kill(self):
        if self._process:
            for pid in maps.descendants(self.pid):  # parents first: they would make new ones
                _kill(pid)
            running, self._process = self._process, None
            running.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self._process.pid

    def running(self):
        return self._process is not None and self._process.running()

    def status(self):
        return self._process.status()

    def wait(self, seconds=20.0):
        return self._process.wait(seconds)

    def children(self):
        return maps.children(self.pid)

    def processes(self):
        """The main process and all below it that run the same program."""
        program = maps.program(self.pid)
        return [pid for pid in maps.descendants(self.pid) if maps.program(pid) == program]

    def settled(self):
        """Waits until what the last questions started has ended: no client's connection is held, no thread is at work.

        A thread is, for a moment, after it has closed its connection. A child of Apache's that was told to end in
        such a moment has been seen to crash in apr_os_sock_get.
        """
        process.wait_for(lambda: not maps.connections(self.port), f"{self.name} has closed its clients' connections")
        process.wait_for(lambda: not any(map(maps.at_work, self.processes())), f"{self.name} waits for work")

    def said(self):
        """name of the log -> its text."""
        files = [self.path(self.name + ".out"), self.path(self.name + ".err"), *self.log_files()]
        texts = {}
        for file in files:
            if os.path.exists(file):
                with open(file, encoding="utf-8", errors="replace") as f:
                    texts[os.path.basename(file)] = f.read()
        return texts

    def everything_said(self):
        return "".join(f"--- {name}\n{text}" for name, text in self.said().items() if text)

    def said_without_times(self):
        """Log lines that must be the same in two runs, in any order (processes and threads mix them)."""
        return {name: sorted(_numbers.sub("N", _times.sub("T", line)) for line in text.splitlines()
                             if not (self.by_chance and re.search(self.by_chance, line)))
                for name, text in self.said().items()}


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
