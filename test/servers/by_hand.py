#!/usr/bin/env python3
"""Starts one stock server with the harness's configuration and keeps it until Ctrl-C or `--ask` is done."""

import argparse
import os
import signal
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "..", "integration")]
build = os.path.join(here, "..", "..", "build", "release")
os.environ.setdefault("SELFHEAL_LIBRARY", os.path.realpath(os.path.join(build, "lib/runtime/libselfheal.so")))
os.environ.setdefault("SELFHEAL_CLI", os.path.realpath(os.path.join(build, "cli/selfheal")))

from servers import runtime  # noqa: E402  (the paths above come first)
from stock import all as stock, question  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", choices=sorted(stock.servers))
    parser.add_argument("--alone", action="store_true", help="without the runtime")
    parser.add_argument("--folder", help="where its files go (default: a new one in /tmp, which is kept)")
    parser.add_argument("--options", default="", help="SELFHEAL_OPTIONS")
    parser.add_argument("--ask", action="store_true", help="put the workload's questions, show the answers and stop")
    arguments = parser.parse_args()
    folder = arguments.folder or tempfile.mkdtemp(prefix=f"selfheal-{arguments.server}-")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    store = runtime.Store(os.path.join(folder, "store"))
    server = stock.servers[arguments.server](folder)
    with server.start(None if arguments.alone else store.environment(arguments.options)):
        print(f"{server.name}: pid {server.pid}, port {server.port}, files in {server.folder}\n"
              f"  {os.environ['SELFHEAL_CLI']} list --store {store.folder}", flush=True)
        if arguments.ask:
            questions = server.workload()
            for asked, answer in zip(questions, question.put(questions)):
                print(f"  {asked}: {repr(answer)[:160]}")
        else:
            try:
                signal.sigwait({signal.SIGINT, signal.SIGTERM})
            except KeyboardInterrupt:
                pass
    print(f"ended with status {server.last_status}")


if __name__ == "__main__":
    main()
