"""A program run in the foreground, in a session of its own (Apache signals its whole process group)."""

import os
import resource
import signal
import subprocess
import time


class Timeout(AssertionError):
    pass


def wait_for(condition, what, seconds=20.0, pause=0.02):
    """Polls until `condition()` is true and returns its value. `what` was waited for: a text, or what returns one."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)


def processor_time(pid):
    """In user mode, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return int(f.read().rpartition(")")[2].split()[11]) / os.sysconf("SC_CLK_TCK")


def _no_core():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Process:
    def __init__(self, arguments, folder, name, environment=None):
        self.arguments = [str(a) for a in arguments]
        self.output_path = os.path.join(folder, name + ".out")
        self.error_path = os.path.join(folder, name + ".err")
        with open(self.output_path, "wb") as out, open(self.error_path, "wb") as err:
            self._child = subprocess.Popen(
                self.arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=environment, start_new_session=True, preexec_fn=_no_core)

    @property
    def pid(self):
        return self._child.pid

    def output(self):
        with open(self.output_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def errors(self):
        with open(self.error_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def running(self):
        return self._child.poll() is None

    def status(self):
        """Exit status, -N for signal N; None while it runs."""
        return self._child.poll()

    def wait(self, seconds=20.0):
        return self._child.wait(seconds)

    def stop(self, how=signal.SIGTERM, seconds=15.0):
        """Ends the program and returns its exit status; its whole group is killed if it will not end."""
        if self.running():
            self._child.send_signal(how)
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._child.wait(seconds)
                raise Timeout(f"{self.arguments[0]} did not end within {seconds} s of {how!r}") from None
        return self._child.returncode
