"""Time that preloading adds to the start of a program: /bin/true, spawned and waited for, in pairs."""

import argparse
import os
import statistics
import tempfile
import time

from servers import runtime

import pairs


def spawn(environment):
    begin = time.perf_counter()
    pid = os.posix_spawn("/bin/true", ["true"], environment)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError("/bin/true failed")
    return (time.perf_counter() - begin) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="selfheal-bench-") as folder:
        store = runtime.Store(os.path.join(folder, "store"))
        variants = {"alone": runtime.plain_environment(), "mode=off": store.environment("mode=off"),
                    "preloaded": store.environment()}
        for environment in variants.values():
            spawn(environment)  # caches, and the store's files
        values = pairs.alternate(variants, options.rounds, spawn)
    print(f"start and end of /bin/true, {options.rounds} rounds")
    for name in variants:
        added = [a - b for a, b in zip(values[name], values["alone"])]
        print(f"  {name:10} median {statistics.median(values[name]):.3f} ms, "
              f"added {pairs.spread(added)} ms")


if __name__ == "__main__":
    main()
