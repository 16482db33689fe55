"""What a user of Apache, nginx and sshd gets: requests or logins a second, without the runtime, with it idle, and with
one and ten regions that every request runs through the engine. Writes docs/throughput.md.

Each round starts the server four times, one variant after the other (A B C D, D C B A, ...), and takes the next of the
functions that drawn.py draws; what is printed is the ratio to the same round's server without the runtime.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import platform
import re
import statistics
import subprocess
import tempfile
import time

from servers import client
from servers.runtime import Store
from stock import web
from stock.apache import Apache
from stock.nginx import Nginx
from stock.sshd import Sshd

import drawn
import pairs

head = """# Throughput

Written by `cmake --build build/release --target bench_throughput` (`bench/servers/throughput.py`) on {date}: {machine}; load average {load} before.

`wrk -t1 -c8` asks for {size} bytes of text over connections that are kept; sshd is logged in to by public key, two at a time, for `true`. The client shares the
machine. Ratios are to the server without the runtime in the same round, median [first quartile .. third quartile]; the order turns round each time. *Idle*: the library is
loaded, its store is empty. *Regions* are functions that every such request runs and the server's start does not, drawn by seed {seed} from those, others in each round: the first {drawn} that fit.
What a region costs is what its function does, and what it calls: *instructions* are those that the engine interpreted, for each request.

| server | rounds | without, per second | idle | one region | ten regions | instructions, one region | ten regions |
|---|---|---|---|---|---|---|---|
"""

small_text = ("curl -s -o {dir}/answer 'http://127.0.0.1:8080/small.txt?[1-3]' && "
              "printf 'get\\tok %s\\n' $(md5sum < {dir}/answer | cut -c-8)")
one_login = ("ssh -F none -i {dir}/sshd/ada_key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
             "-o IdentityAgent=none -o KexAlgorithms=curve25519-sha256 -p 8080 ada@127.0.0.1 true </dev/null && "
             "printf 'login\\tok\\n'")


class Web:
    """A server that is asked for small.txt."""

    unit = "requests"
    workload = small_text

    def __init__(self, make):
        self.make = make

    def ask(self, server, count):
        for _ in range(count):
            if client.fetch(server.port, "/small.txt").body != web.small:
                raise RuntimeError("a wrong answer")

    def rate(self, server, seconds):
        """(requests a second, requests)"""
        run = subprocess.run(["wrk", "-t1", "-c8", f"-d{seconds}s", f"http://127.0.0.1:{server.port}/small.txt"],
                             capture_output=True, text=True, check=True)
        if "Non-2xx" in run.stdout or "Socket errors" in run.stdout:
            raise RuntimeError(run.stdout)
        return (float(re.search(r"Requests/sec:\s+([\d.]+)", run.stdout).group(1)),
                int(re.search(r"(\d+) requests in", run.stdout).group(1)))


class Logins:
    unit = "logins"
    workload = one_login
    make = Sshd
    at_once = 2
    a_second = 6  # of a measurement's time

    def ask(self, server, count):
        for _ in range(count):
            if server.execute("true")[0] != 0:
                raise RuntimeError("a login failed")

    def rate(self, server, seconds):
        count = seconds * self.a_second
        begin = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(self.at_once) as clients:
            list(clients.map(lambda _: self.ask(server, 1), range(count)))
        return count / (time.perf_counter() - begin), count


subjects = {
    "apache_event": ("Apache (event)", Web(lambda folder: Apache(folder, children=1, threads=32))),
    "nginx": ("nginx", Web(lambda folder: Nginx(folder, workers=1))),
    "sshd": ("sshd", Logins()),
}


class Variant:
    """A way to start the server; `regions`: an endless choice of lists of them."""

    def __init__(self, subject, folder, name, regions=None):
        self.subject = subject
        self.regions = regions
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        self.statistics = self.folder + ".statistics"
        self.server = subject.make(self.folder)
        self.interpreted = []  # instructions for each request, a round each

    def environment(self, regions):
        options = [f"statistics={self.statistics}", *(f"region={r}" for r in regions)]
        return Store(self.folder + ".store").environment(":".join(options))

    def run(self, regions, work):
        """work(server)'s value, and what the engine did meanwhile."""
        with open(self.statistics, "w", encoding="ascii"):
            os.chmod(self.statistics, 0o666)  # for who gave up root
        with self.server.start(None if regions is None else self.environment(regions)) as server:
            value = work(server)
        with open(self.statistics, encoding="ascii") as file:
            ends = [json.loads(line) for line in file]
        return value, sum(e["region_calls"] for e in ends), sum(e["instructions"] for e in ends)

    def measure(self, seconds):
        warm = 5

        def work(server):
            self.subject.ask(server, warm)
            return self.subject.rate(server, seconds)
        (rate, requests), _, instructions = self.run(next(self.regions) if self.regions else None, work)
        self.interpreted.append(instructions / (requests + warm))
        return rate


def fitting(subject, folder, functions, count):
    """The first `count` functions that are run by the engine in each request."""
    probe = Variant(subject, folder, "probe")
    found = []
    asked = 5
    for function in functions:
        _, calls, _ = probe.run([function], lambda s: subject.ask(s, asked))
        if calls >= asked:
            found.append(function)
        if len(found) == count:
            break
    return found


def rotated(functions, width):
    """Lists of `width` of them: the first ones, then from the second on, and so on without end."""
    for first in itertools.count():
        yield [functions[(first + i) % len(functions)] for i in range(min(width, len(functions)))]


def row(key, options, out):
    """Measures, prints a row of the table; what the regions were, and of which builds."""
    name, subject = subjects[key]
    with tempfile.TemporaryDirectory(prefix="selfheal-bench-") as folder:
        os.chmod(folder, 0o755)
        executed = drawn.Functions(key, subject.workload, folder)
        functions = fitting(subject, folder, executed.in_order(options.seed), options.drawn)
        variants = {"without": Variant(subject, folder, "without"),
                    "idle": Variant(subject, folder, "idle", itertools.repeat([])),
                    "one": Variant(subject, folder, "one", rotated(functions, 1)),
                    "ten": Variant(subject, folder, "ten", rotated(functions, 10))}
        values = pairs.alternate(variants, options.rounds, lambda variant: variant.measure(options.seconds))
        ratios = [pairs.spread(pairs.ratios(values, v, "without")) for v in ("idle", "one", "ten")]
        interpreted = [f"{statistics.median(variants[v].interpreted):,.0f}" for v in ("one", "ten")]
        print(f"| {name} | {options.rounds} | {statistics.median(values['without']):,.0f} {subject.unit} | "
              + " | ".join(ratios + interpreted) + " |", file=out, flush=True)
        return f"- **{name}** ({executed.builds()}): " + ", ".join(f"`{f}`" for f in functions)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read()).group(1)
    return f"{os.cpu_count()} processors ({model}), Linux {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=3, help="of one measurement")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drawn", type=int, default=20, help="functions that are drawn")
    parser.add_argument("--output", default="throughput.md")
    parser.add_argument("servers", nargs="*", default=list(subjects), metavar="SERVER", help=", ".join(subjects))
    options = parser.parse_args()
    load = "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())
    with open(options.output, "w", encoding="utf-8") as out:
        print(head.format(date=time.strftime("%Y-%m-%d"), machine=machine(), load=load, size=len(web.small),
                          seed=options.seed, drawn=options.drawn), end="", file=out, flush=True)
        regions = [row(key, options, out) for key in options.servers]
        print("\n## Regions\n", *regions, sep="\n", file=out)


if __name__ == "__main__":
    main()
