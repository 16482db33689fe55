"""Requests per second of stock httpd: alone, with the runtime and no region, with one region.

The region is the function behind the URL that is asked for, so every request enters and leaves it.
All three servers run side by side and idle while another one is measured.
"""

import argparse
import os
import re
import statistics
import subprocess
import tempfile

from servers import client, process
from stock.apache import Apache
from servers.runtime import Store

import pairs

static = "/small.txt"
protected = "/fragile/city?member=ada"  # answered by election_city
crash = "/fragile/city?member=ghost"


def wrk(server, path, seconds):
    run = subprocess.run(["wrk", "-t1", "-c8", f"-d{seconds}s", f"http://127.0.0.1:{server.port}{path}"],
                         capture_output=True, text=True, check=True)
    if "Non-2xx" in run.stdout or "Socket errors" in run.stdout:
        raise RuntimeError(run.stdout)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", run.stdout).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=2, help="of one measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="selfheal-bench-") as folder:
        os.chmod(folder, 0o755)
        servers = {}
        try:
            for name in ("alone", "no region", "one region"):
                own = os.path.join(folder, name.replace(" ", "-"))
                os.mkdir(own)
                servers[name] = Apache(own, {"fragile": os.environ["SELFHEAL_MOD_FRAGILE"]}, children=1, threads=32)
            store = Store(os.path.join(folder, "store"))
            with servers["one region"].start(store.environment()) as server:
                try:
                    server.fetch(crash)
                    raise RuntimeError("the request that should have crashed was answered")
                except client.Dropped:
                    process.wait_for(server.crashes, "the crash is logged")
            servers["alone"].start()
            servers["no region"].start(Store(os.path.join(folder, "empty")).environment())
            servers["one region"].start(store.environment())
            if servers["one region"].fetch(crash).status < 400:
                raise RuntimeError("the region does not heal")

            for path in (static, protected):
                values = pairs.alternate(servers, options.rounds, lambda s, p=path: wrk(s, p, options.seconds))
                print(f"httpd {path}: {options.rounds} rounds of {options.seconds} s")
                for name in servers:
                    print(f"  {name:11} {statistics.median(values[name]):9.0f} requests/s, "
                          f"ratio to alone {pairs.spread(pairs.ratios(values, name, 'alone'))}")
        finally:
            for server in servers.values():
                server.stop()


if __name__ == "__main__":
    main()
