"""What a fault costs: from the fault to the end of the process, recorded or not; and what a heal takes."""

import argparse
import os
import statistics
import struct
import subprocess
import tempfile

from servers import client, runtime
from servers.warehouse import Warehouse

import pairs

bugs = {"NULL": client.Request("/supplier/lantern"),
        "divide": client.Request("/average/outdoor"),
        "wild write": client.Request("/order?item=bread&count=2&shelf=98765432109", "POST")}


def death(variant):
    """Median of the microseconds from fault to death of 20 processes."""
    environment, library = variant
    run = subprocess.run([os.environ["SELFHEAL_FAULT_CLOCK"], "20", *library], env=environment, capture_output=True,
                         text=True, check=True)
    return statistics.median(int(line) for line in run.stdout.split()) / 1e3


def heal_durations(folder, request, count):
    """Nanoseconds of each of `count` heals of one bug, as the journal has them."""
    store = runtime.Store(os.path.join(folder, "store-" + request.path[1:5]))
    with Warehouse(folder, store.environment()) as server:
        try:
            server.fetch(request)
            raise RuntimeError("the first run should crash")
        except client.Dropped:
            server.process.wait()
    with Warehouse(folder, store.environment("heals_per_minute=100000")) as server:
        for _ in range(count):
            if server.fetch(request).status < 400:
                raise RuntimeError("not healed")
    store.cli("list")  # moves what is left in the journal to the history
    durations = durations_in(os.path.join(store.folder, "history"))
    if len(durations) != count:
        raise RuntimeError(f"{count} heals made, {len(durations)} in the history")
    return durations


def durations_in(history):
    """duration_ns of each HealRecord in a history file (lib/store/format.h: Slot)."""
    slot_size, kind_at, heal, duration_at = 2048, 8, 2, 32 + 248
    with open(history, "rb") as f:
        content = f.read()
    return [struct.unpack_from("<Q", content, at + duration_at)[0]
            for at in range(0, len(content), slot_size) if content[at + kind_at] == heal]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--heals", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="selfheal-bench-") as folder:
        recording = runtime.Store(os.path.join(folder, "store")).environment("mode=observe")
        del recording["LD_PRELOAD"]  # fault_clock gives it to its children
        variants = {"alone": (runtime.plain_environment(), []), "recorded": (recording, [runtime.library])}
        values = pairs.alternate(variants, options.rounds, death)
        print(f"fault to end of process, {options.rounds} rounds of 20")
        for name in variants:
            print(f"  {name:9} {pairs.spread(values[name])} us")
        added = [a - b for a, b in zip(values["recorded"], values["alone"])]
        print(f"  added     {pairs.spread(added)} us")
        print("heal: fault seen to running again in the caller")
        for name, request in bugs.items():
            durations = [d / 1e3 for d in heal_durations(folder, request, options.heals)]
            print(f"  {name:10} median {statistics.median(durations):.2f} us, "
                  f"p99 {pairs.percentile(durations, 0.99):.2f} us of {len(durations)} heals")


if __name__ == "__main__":
    main()
