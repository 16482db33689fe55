"""Requests that never come back: alone the server hangs; the first time under the runtime it hangs, and one
alarm is recorded; the second time the request gets its error, and the next one its answer.

Nothing here waits for time to pass: a server hangs once its store says so, and that has to be before it has used
`enough` seconds of processor time on the request, however long that takes on a loaded machine.
"""

import json
import os
import select
import signal
import socket
import subprocess
import time

from servers import case, runtime
from servers.process import processor_time, wait_for

program = os.environ["SELFHEAL_LOOPS"]
hang_seconds = 0.4
enough = 10  # seconds of processor time: ten times the budget and 16 looks
most_memory = 4000  # MiB
deadline = 120
options = f"hang-seconds={hang_seconds}:hang-instructions=3000000:growth-megabytes=48:report=never"
warm_up = 130  # requests: a thread or child has to see a hundred blocking calls before it


def is_alive(pid):
    """False also for one that its parent has not asked after."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Server:
    def __init__(self, how, environment):
        self.process = subprocess.Popen([program, how], env=environment, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        children = self.children()
        for pid in [*children, self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process.stdout.close()
        wait_for(lambda: not any(map(is_alive, children)), "its children end", deadline)

    def children(self):
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
                return [int(pid) for pid in file.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def used(self):
        """Processor time in user mode of the server and its children, in seconds."""
        total = 0
        for pid in [*self.children(), self.process.pid]:
            try:
                total += processor_time(pid)
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total

    def memory(self):
        """Resident, in MiB."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

    def ask(self, request, enough_of_it=lambda: False):
        """The answer; None when `enough_of_it` before there was one."""
        began, limit = self.used(), time.monotonic() + deadline
        with socket.create_connection(("127.0.0.1", self.port), timeout=deadline) as connection:
            connection.sendall(f"{request}\n".encode())
            while time.monotonic() < limit and self.used() < began + enough and self.memory() < most_memory:
                if select.select([connection], [], [], 0.2)[0]:
                    return connection.recv(64).decode().strip()
                if enough_of_it():
                    return None
        raise AssertionError(f"{request}: no answer; {self.used() - began:.2f} s of processor time, {self.memory()} MiB")


# request: the function to be blamed, and the kind of fault
loops = {
    "skip_blanks": ("skip_blanks", "time-out"),
    "walk_list": ("walk_list", "time-out"),
    "fill_table": ("fill_table", "time-out"),
    "scan_ring": ("scan_ring", "time-out"),
    "find_in_tree": ("find_in_tree", "time-out"),
    "collect_nodes": ("collect_nodes", "memory-growth"),
}



def function_bounds(name):
    for line in subprocess.run(["nm", "-S", program], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        if words[-1] == name:
            return int(words[0], 16), int(words[1], 16)
    raise AssertionError(name)


class Loops(case.Case):
    def server(self, how="single", more=""):
        return Server(how, self.store().environment(options + more))

    def warm(self, server, requests=warm_up):
        self.assertEqual({server.ask("fine") for _ in range(requests)}, {"ok 0"})

    def only_region(self):
        region, = self.store().regions()
        return json.loads(self.store().cli("info", "--json", region["id"]))

    def hangs(self, request, how="single", more=""):
        with self.server(how, more) as server:
            self.warm(server)
            self.assertEqual(server.ask("compute 30"), "ok 0")
            self.until_recorded(server, request)

    def until_recorded(self, server, request):
        """An alarm, which waits in the journal as long as the process could come back."""
        before = sum(region["faults"] for region in self.store().regions())
        recorded = lambda: sum(region["faults"] for region in self.store().regions()) > before
        self.assertIsNone(server.ask(request, recorded))

    def is_blamed(self, function, kind):
        region = self.only_region()
        start, size = function_bounds(function)
        self.assertEqual(int(str(region["offset"]), 0), start, region)
        self.assertEqual(region["fault"]["kind"], kind)
        self.assertEqual((region["policy"], region["enabled"]), ("heal", True))
        return region, range(start, start + size)

    def is_healed(self, request, how="single"):
        with self.server(how) as server:
            self.warm(server, 10)
            self.assertEqual(server.ask(request), "error")
            self.assertEqual(server.ask("fine"), "ok 0")
            self.assertEqual(server.ask(request), "error")

    def test_alone_each_hangs(self):
        for request in loops:
            with self.subTest(request), Server("single", runtime.plain_environment()) as server:
                self.assertEqual(server.ask("fine"), "ok 0")
                began = server.used()
                endless = {"time-out": lambda: server.used() > began + 0.3, "memory-growth": lambda: server.memory() > 300}
                self.assertIsNone(server.ask(request, endless[loops[request][1]]))

    def test_first_recorded_then_healed(self):
        for request, (function, kind) in loops.items():
            with self.subTest(request):
                self.store_name = request
                self.hangs(request)
                self.is_blamed(function, kind)
                self.is_healed(request)

    def store(self, name=None):
        return super().store(name or getattr(self, "store_name", "store"))

    def test_on_a_worker_with_all_signals_blocked(self):
        self.hangs("walk_list", "threads")
        self.is_blamed("walk_list", "time-out")
        self.is_healed("walk_list", "threads")

    def test_a_function_that_ended_often_is_not_waited_for_long(self):
        """With the default budget, for which the engine needs a third of a second."""
        self.hangs("walk_list")
        known = self.refused_after(70)
        self.assertLess(3 * known, self.refused_after(0))

    def refused_after(self, calls):
        """Seconds of processor time until a call of walk_list is refused, when so many have come to an end."""
        with self.server(more=":hang-instructions=100000000") as server:
            for _ in range(calls):
                self.assertEqual(server.ask("fine"), "ok 0")
            began = server.used()
            self.assertEqual(server.ask("walk_list"), "error")
            return server.used() - began

    def test_in_a_fork_child(self):
        self.hangs("walk_list", "fork")
        self.is_blamed("walk_list", "time-out")
        self.is_healed("walk_list", "fork")

    def test_a_server_learns_from_a_child_that_was_killed(self):
        with self.server("fork") as server:
            self.warm(server)
            self.until_recorded(server, "walk_list")
            self.assertTrue(self.only_region()["pending"])
            child, = server.children()
            self.assertEqual({server.ask("fine") for _ in range(3)}, {"ok 0"})  # no other news than its alarm
            os.kill(child, signal.SIGKILL)
            wait_for(lambda: not is_alive(child), "the child ends", deadline)
            catalog = os.path.join(self.store().folder, "catalog")
            wait_for(lambda: server.ask("fine") == "ok 0" and os.path.exists(catalog), "the server looks at its alarms", deadline)
            self.assertEqual(server.ask("walk_list"), "error")

    def test_a_loop_whose_time_goes_by_in_a_callee_is_found_in_two_steps(self):
        """The callee that always returns is blamed first; run by the engine it is seen to return."""
        self.hangs("resolve_names")
        if len(self.store().regions()) == 1 and self.only_region()["offset"] != function_bounds("resolve_names")[0]:
            self.hangs("resolve_names")
        self.assertIn(function_bounds("resolve_names")[0],
                      [int(str(region["offset"]), 0) for region in self.store().regions()])
        self.is_healed("resolve_names")

    def test_a_long_request_takes_its_alarm_back(self):
        with self.server() as server:
            self.warm(server)
            self.until_recorded(server, "skip_until_told")
            self.assertTrue(self.only_region()["pending"])
            os.kill(server.process.pid, signal.SIGUSR1)
            wait_for(lambda: self.store().regions() == [], "the alarm is taken back", deadline)
            self.assertEqual(server.ask("fine"), "ok 0")
        self.assertEqual(self.store().regions(), [])

    def test_a_full_undo_log_is_the_loop(self):
        """Long before the budget of instructions is used up, and while everything can still be taken back."""
        self.hangs("collect_nodes")
        with self.server(more=":log-megabytes=1:hang-instructions=1000000000") as server:
            self.warm(server, 10)
            self.assertEqual(server.ask("collect_nodes"), "error")
            self.assertLess(server.memory(), 100)
        self.assertEqual(self.only_region()["outcomes"]["unprotected"], 0)

    def test_a_busy_server_is_not_blamed(self):
        with self.server() as server:
            self.warm(server)
            for _ in range(40):
                self.assertEqual(server.ask("compute 50"), "ok 0")
        self.assertEqual(self.store().regions(), [])

    def test_the_process_ends_where_that_is_wanted(self):
        with self.server(more=":hang-action=abort") as server:
            self.warm(server)
            self.assertEqual(server.ask("walk_list"), "")
            self.assertEqual(server.process.wait(deadline), -signal.SIGABRT)
        self.is_blamed("walk_list", "time-out")

    def test_other_requests_are_healed_at_once_where_that_is_wanted(self):
        with self.server("threads", ":hang-action=heal") as server:
            self.warm(server)
            self.until_recorded(server, "walk_list")
            self.assertEqual(server.ask("walk_list"), "error")
            self.assertEqual(server.ask("fine"), "ok 0")


if __name__ == "__main__":
    case.main()
