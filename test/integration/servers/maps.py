"""What /proc tells about a process."""

import glob
import os
from dataclasses import dataclass


def children(pid):
    """Pids of the living children of a process."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] not in "ZX":
            found.append(int(name))
    return sorted(found)


def descendants(pid):
    """A process and all that it started and that still live, parents first."""
    found = [pid]
    for parent in found:
        found += children(parent)
    return found


def program(pid):
    """The file a process runs; None when it has gone."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def mappings(pid):
    """(permissions, name) of each mapping; empty when the process has gone."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as f:
            lines = [line.split(maxsplit=5) for line in f]
    except OSError:
        return []
    return [(line[1], line[5].strip() if len(line) > 5 else "") for line in lines]


def writable_and_executable(pid):
    return [m for m in mappings(pid) if "w" in m[0] and "x" in m[0]]


def maps_library(pid, name="libselfheal.so"):
    return any(os.path.basename(path).startswith(name) for _, path in mappings(pid))


@dataclass(frozen=True)
class Resources:
    descriptors: int
    threads: int
    memory: int  # resident and private, in KiB

    def same_handles(self, other):
        return (self.descriptors, self.threads) == (other.descriptors, other.threads)


def resources(pid):
    """What a process holds."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
        facts = dict(line.split(":", 1) for line in f)
    return Resources(len(os.listdir(f"/proc/{pid}/fd")), int(facts["Threads"]), int(facts["RssAnon"].split()[0]))


def at_work(pid):
    """Has a process a thread that runs, or could?"""
    for task in glob.glob(f"/proc/{pid}/task/*/stat"):
        try:
            with open(task, encoding="utf-8", errors="replace") as f:
                if f.read().rpartition(")")[2].split()[0] == "R":
                    return True
        except OSError:
            continue
    return False


def connections(port):
    """How many connections made to `port` of this machine are open, or wait to be accepted, at the server's end."""
    listening, established, close_wait = 0x0A, 0x01, 0x08
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as f:
            rows = [line.split() for line in f.readlines()[1:]]
        for row in rows:
            state, inode = int(row[3], 16), int(row[9])
            if int(row[1].rsplit(":", 1)[1], 16) == port and state != listening:
                # A socket that its process has closed lives on without an inode until its peer has closed, too.
                count += state in (established, close_wait) or inode != 0
    return count
