"""What the idle runtime costs stock servers: processor time of all their processes a request, in alternating runs.

By the scheduler's own accounts (/proc/PID/task/TID/schedstat, nanoseconds), as wall-clock throughput of two runs on
a machine with neighbours differs by 20 % and more. A login of sshd is measured with its processes, which end, by the
times of waited-for children that /proc/PID/stat has of the listener.
"""

import argparse
import os
import re
import subprocess
import tempfile

from servers import maps
from servers.runtime import Store
from stock.apache import Apache
from stock.nginx import Nginx
from stock.sshd import Sshd

import pairs


def on_processor(server):
    """Nanoseconds that the server's living threads have run."""
    total = 0
    for pid in maps.descendants(server.pid):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total


def a_request(server, seconds):
    """Microseconds of processor time for one request of a small file."""
    before = on_processor(server)
    run = subprocess.run(["wrk", "-t1", "-c8", f"-d{seconds}s", f"http://127.0.0.1:{server.port}/small.txt"],
                         capture_output=True, text=True, check=True)
    if "Non-2xx" in run.stdout or "Socket errors" in run.stdout:
        raise RuntimeError(run.stdout)
    requests = int(re.search(r"(\d+) requests in", run.stdout).group(1))
    return (on_processor(server) - before) / 1e3 / requests


def a_login(server, count):
    """Milliseconds of processor time, in ticks of ten, for one login by public key."""
    def children():
        server.settled()
        with open(f"/proc/{server.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) * 1000 / os.sysconf("SC_CLK_TCK")

    before = children()
    for _ in range(count):
        if server.execute("true")[0] != 0:
            raise RuntimeError("login failed")
    return (children() - before) / count


def compare(name, unit, make, measure, rounds):
    with tempfile.TemporaryDirectory(prefix="selfheal-bench-") as folder:
        os.chmod(folder, 0o755)
        servers = {}
        try:
            for variant, environment in (("alone", None), ("idle", Store(folder + "/store").environment())):
                os.makedirs(os.path.join(folder, variant))
                os.chmod(os.path.join(folder, variant), 0o755)
                servers[variant] = make(os.path.join(folder, variant))
                servers[variant].start(environment)
                measure(servers[variant])  # caches
            values = pairs.alternate(servers, rounds, measure)
            print(f"{name}: {pairs.spread(values['alone'])} {unit} alone, idle runtime "
                  f"{pairs.spread(pairs.ratios(values, 'idle', 'alone'))} times that, {rounds} rounds", flush=True)
        finally:
            for server in servers.values():
                server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=1, help="of one measurement")
    parser.add_argument("--logins", type=int, default=20, help="of one measurement")
    options = parser.parse_args()
    compare("Apache, a request", "us", lambda folder: Apache(folder, children=1, threads=16),
            lambda server: a_request(server, options.seconds), options.rounds)
    compare("nginx, a request", "us", lambda folder: Nginx(folder, workers=1),
            lambda server: a_request(server, options.seconds), options.rounds)
    compare("sshd, a login", "ms", Sshd, lambda server: a_login(server, options.logins), options.rounds)


if __name__ == "__main__":
    main()
