"""Deaths that no handler sees: SIGKILL by somebody, and by the kernel's OOM killer."""

import os
import signal

from servers import case, process
from supervised import SupervisedCase

# Where a control group with a memory limit can be made; version 2, else version 1.
_v2 = "/sys/fs/cgroup"
_v1 = "/sys/fs/cgroup/memory"


def make_memory_group(name, limit):
    """The group's folder, or None where none can be made (not root, a read-only mount)."""
    for base, file in ((_v2, "memory.max"), (_v1, "memory.limit_in_bytes")):
        folder = os.path.join(base, name)
        try:
            os.mkdir(folder)
        except OSError:
            continue
        try:
            with open(os.path.join(folder, file), "r+", encoding="ascii") as f:
                f.write(str(limit))
            return folder
        except OSError:
            os.rmdir(folder)
    return None


class Deaths(SupervisedCase):
    def server_pid(self):
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                    if int(f.read().rsplit(")", 1)[1].split()[1]) == self.supervisor.pid:
                        return int(entry)
            except (OSError, IndexError):
                pass
        return None

    def test_a_kill_is_recorded_as_one(self):
        self.run_server("--restart")
        killed = self.server_pid()
        os.kill(killed, signal.SIGKILL)
        self.wait_until_said("restart 1 in ")
        self.wait_until_it_serves()
        event, = self.events()
        self.assertEqual((event["pid"], event["kind"], event["signal"]), (killed, "signal", signal.SIGKILL))
        # Another program's OOM kill on this machine meanwhile may leave room for doubt.
        self.assertIn("killed by SIGKILL, not by selfheal", event["message"])
        self.assertIn(str(killed), self.store().cli("list"))
        self.assertEqual(self.store().regions(), [])

    def test_the_oom_killer_is_recorded_as_such(self):
        group = make_memory_group(f"selfheal-test-{os.getpid()}", 64 << 20)
        if group is None:
            self.skipTest("no control group with a memory limit can be made here")
        self.addCleanup(lambda: process.wait_for(lambda: _remove(group), "the control group is empty", 30))
        self.run_server("--restart", wrapper=("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"))
        self.get("/grow", 0.3)
        self.wait_until_said("restart 1 in ")
        event = self.events()[0]
        self.assertEqual((event["signal"], event["message"]),
                         (signal.SIGKILL, "killed by the kernel's OOM killer: out of memory in its control group"))
        self.assertIn("was killed by the kernel's OOM killer", self.said())
        self.end()


def _remove(folder):
    try:
        os.rmdir(folder)
        return True
    except OSError:
        return False


if __name__ == "__main__":
    case.main()
