"""Every fault of modules/faults.c in every server that takes modules.

First run: it ends a process, as without us, and is recorded. Second run: it is healed (or ends the process
again, where docs/faults.md says `stop`), good requests of the same function and the whole workload are
answered as ever, by the same processes, and descriptors, threads and memory are what they were.
"""

import dataclasses
import signal

from servers import case, maps, process
from stock import carriers
from stock.question import put


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    kind: str  # as `selfheal list` has it
    signal: int
    second: tuple = ("refused",)  # what the second run may answer
    booked: bool = False  # a bad request is finished, too, and so books its job


faults = [
    Fault("null", "null-access", signal.SIGSEGV),
    Fault("wild-write", "wild-access", signal.SIGSEGV),
    Fault("divide", "divide", signal.SIGFPE),
    Fault("ud2", "illegal-instruction", signal.SIGILL),
    Fault("corrupted-list", "wild-access", signal.SIGSEGV),
    # The function that sorts fails in place of the comparison that qsort calls.
    Fault("callback", "divide", signal.SIGFPE),
    Fault("mutex-held", "null-access", signal.SIGSEGV),
    # What was sent is sent: the answer breaks off.
    Fault("half-answer", "null-access", signal.SIGSEGV, ("refused", "half")),
    Fault("leaves-things", "null-access", signal.SIGSEGV),
]

# Of glibc's heap and of a process's first stack: named has another heap, and threads.
more = [
    Fault("assert", "assertion", signal.SIGABRT),
    Fault("abort", "abort", signal.SIGABRT),
    # Ended in the function that calls itself; the one around it goes on with a wrong sum, and says so.
    Fault("recursion", "stack-exhaustion", signal.SIGSEGV, booked=True),
    # The second free is left out.
    Fault("double-free", "bad-free", signal.SIGABRT, ("done",), booked=True),
    Fault("bad-free", "bad-free", signal.SIGABRT, ("done",), booked=True),
    # Foreseen at the store that would reach the canary.
    Fault("smashed-stack", "smashed-stack", signal.SIGABRT),
]
rounds = 12
memory_may_grow = 8192  # KiB: less than `rounds` leaves-things would leave, more than the undo logs of all threads


def named(*names):
    return [fault for fault in faults if fault.name in names]


class Faults(case.Case):
    options = ""  # of the second run

    def first_run(self, carrier, store, faults):
        carrier.server.start(store.environment())
        try:
            for fault in faults:
                with self.subTest(fault=fault.name, run=1):
                    if not carrier.server.running():
                        carrier.server.start(store.environment())
                    self.assertEqual(carrier.ask(fault.name, "good"), "done")
                    self.assertIn(carrier.ask(fault.name, "bad"), carrier.died, "it was answered")
                    if not carrier.crashes_apart:
                        self.assertEqual(carrier.server.wait(), -fault.signal)
        finally:
            carrier.server.stop()
        # Not the signal: once a heap fault is known, a worker that comes later sees the next before glibc does.
        found = sorted(region["fault"]["kind"] for region in store.regions())
        self.assertEqual(found, sorted(fault.kind for fault in faults), store.cli("list"))

    def round(self, carrier, faults, count):
        """`count` bad requests of each fault, each followed by a good one; returns the jobs booked."""
        jobs = 0
        for fault in faults:
            for _ in range(count):
                answer = carrier.ask(fault.name, "bad")
                self.assertIn(answer, carrier.healed or fault.second, f"{fault.name}\n{carrier.server.everything_said()[-3000:]}")
                self.assertEqual(carrier.ask(fault.name, "good"), "done", f"after {fault.name}")
                jobs += 2 if fault.booked else 1
        return jobs

    def second_run(self, carrier, store, faults, reference, warm, count):
        server = carrier.server
        server.start(store.environment("heals_per_minute=1000000" + self.options))
        try:
            put(server.workload(), reference)
            jobs = self.round(carrier, faults, warm)  # whatever is made once is made now
            server.settled()
            before = {pid: maps.resources(pid) for pid in server.processes()}
            jobs += self.round(carrier, faults, count)
            put(server.workload(), reference)
            server.settled()
            self.assertEqual(server.processes(), list(before), "processes were lost")
            for pid, was in before.items():
                process.wait_for(lambda p=pid, w=was: maps.resources(p).same_handles(w),
                                 f"{maps.resources(pid)} of process {pid} are {was} again (connections may linger)", 10)
                self.assertLess(maps.resources(pid).memory, was.memory + memory_may_grow, f"KiB of process {pid}")
            if carrier.kept_ledger:
                self.assertEqual(carrier.ledger(), jobs, "jobs booked: only those of requests that were finished")
        finally:
            server.stop()
        healed = {region["id"]: region["heals"] for region in store.regions()}
        self.assertEqual(len(healed), len(faults), store.cli("list"))
        self.assertGreaterEqual(min(healed.values()), warm + count)

    def check(self, first, second, faults=tuple(faults), warm=2, count=rounds):
        store = self.store()
        second.server.start()
        reference = put(second.server.workload())
        second.server.stop()
        self.first_run(first, store, faults)
        self.second_run(second, store, faults, reference, warm, count)

    def test_apache(self):
        """As many children in the first run as are to die: httpd replaces them once a second."""
        # A thread whose stack was used to the end keeps its 8 MiB, so recursion says nothing about leaks here.
        every = faults + [fault for fault in more if fault.name != "recursion"]
        self.check(carriers.OnApache(self.folder + "/first", children=len(every) + 2, threads=2),
                   carriers.OnApache(self.folder, children=1), every)

    def test_nginx(self):
        self.check(carriers.OnNginx(self.folder + "/first"), carriers.OnNginx(self.folder), faults + more)

    def test_apache_held_output(self):
        self.check_held_output(carriers.OnApache(self.folder + "/first", children=3, threads=2),
                               carriers.OnApache(self.folder, children=1))

    def test_nginx_held_output(self):
        self.check_held_output(carriers.OnNginx(self.folder + "/first"), carriers.OnNginx(self.folder))

    def check_held_output(self, *pair):
        """The half that was written is taken back with the rest, and the client gets the error page alone."""
        self.options = ":hold-output=1"
        self.check(*pair, [dataclasses.replace(fault, second=("refused",)) for fault in named("half-answer")])

    def test_nginx_mdwe(self):
        self.check_restricted("mdwe")

    def test_nginx_mdwe_seccomp(self):
        self.check_restricted("seccomp")

    def check_restricted(self, restriction):
        """No memory may become executable that was written: the unit option MemoryDenyWriteExecute."""
        pair = carriers.OnNginx(self.folder + "/first"), carriers.OnNginx(self.folder)
        for carrier in pair:
            carrier.server.restriction = restriction
        self.check(*pair, count=2)

    def test_named(self):
        carrier = carriers.OnNamed(self.folder)
        self.check(carrier, carrier)

    def check_sshd(self, kind, faults):
        """Every login has processes of its own; what must not change are the listener's."""
        carrier = kind(self.folder, [fault.name for fault in faults])
        # Who may come in is not guessed; of these modules the operator knows what their errors mean.
        self.store().policy('[[rule]]\nmodule = "pam_faults.so"\nmode = "heal"\n'
                            '[[rule]]\nmodule = "libnss_faults.so*"\nmode = "heal"\n')
        self.check(carrier, carrier, faults, 1, 1)

    def test_sshd_password(self):
        self.check_sshd(carriers.OnSshd, faults)

    def test_sshd_keyboard(self):
        self.check_sshd(carriers.OnSshdKeyboard, named("null", "divide", "mutex-held"))

    def test_sshd_names(self):
        self.check_sshd(carriers.OnSshdNames, named("null", "wild-write", "leaves-things"))


if __name__ == "__main__":
    case.main()
