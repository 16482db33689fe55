"""Attacks on Apache through the bugs of modules/mod_attacks.c: what an attacker gets without us, with us the
first time, and from then on. docs/attacks.md is the table of it; each of its rows names a test here.

"From then on" begins in the same run, once the processes that live have learned of a death, and holds in the next.
"""

import os
import select
import signal
import subprocess
import threading
import time

from servers import case, client, maps, process, runtime
from stock import attacked, carriers, web
from stock.attacked import word

too_long = b"A" * 100
nowhere = 0x10_0000_0000  # nothing is mapped there, nor in the pages behind


class Case(case.Case):
    def attacked(self, environment=None, **shape):
        """A server that runs until the test ends."""
        server = attacked.Attacked(self.folder, **shape).start(environment or runtime.plain_environment())
        self.addCleanup(server.kill)
        return server

    def learned(self, server):
        """The one region, once all processes know what one has died of."""
        server.settled()
        region, = self.store().regions()
        return region

    def serves(self, server):
        answer = client.fetch(server.port, "/small.txt")
        self.assertEqual((answer.status, answer.body), (200, web.small))

    def refuses(self, server, attack, payload, count=8):
        """Errors only, by processes that live on; the others are served."""
        before = server.processes()
        for _ in range(count):
            self.assertEqual(server.ask(attack, payload), "refused")
        self.serves(server)
        self.assertEqual(server.processes(), before)


class Control(Case):
    """Somebody wants the process to run attack_steal(), or to learn what he needs for it."""

    def test_an_overflow_in_a_frame_with_a_canary(self):
        alone = self.attacked()
        for _ in range(3):
            self.assertEqual(alone.ask("greet", too_long), "dropped")
        alone.stop()

        server = self.attacked(self.store().environment())
        self.assertEqual(server.ask("greet", too_long), "dropped")
        region = self.learned(server)
        self.assertEqual((region["fault"]["kind"], region["security_event"]), ("smashed-stack", True))
        self.refuses(server, "greet", too_long)
        server.stop()

        server = self.attacked(self.store().environment())
        self.refuses(server, "greet", too_long)
        self.assertEqual(server.ask("greet", b"somebody"), "0")

    def test_an_overflow_in_a_frame_without_a_canary(self):
        bare = {"frames": "mod_attacks_bare.so"}
        alone = self.attacked(**bare)
        exact = word(alone.told()[0]) * 12  # one of them is where the return address was
        self.assertEqual((alone.ask("greet", exact), alone.stolen()), ("dropped", 1))
        alone.stop()

        # Who knows all he needs is not seen: nothing has faulted.
        server = self.attacked(self.store().environment(), **bare)
        exact = word(server.told()[0]) * 12
        self.assertEqual((server.ask("greet", exact), server.stolen()), ("dropped", 1))
        server.settled()
        self.assertEqual(self.store().regions(), [])
        # Who has to try is: the first attempt that goes astray.
        self.assertEqual(server.ask("greet", too_long), "dropped")
        region = self.learned(server)
        self.assertEqual((region["fault"]["kind"], region["security_event"]), ("return-mismatch", True))
        self.refuses(server, "greet", too_long)
        self.refuses(server, "greet", exact)
        self.assertEqual(server.stolen(), 1)
        server.stop()

        server = self.attacked(self.store().environment(), **bare)
        self.refuses(server, "greet", word(server.told()[0]) * 12)
        self.assertEqual(server.ask("greet", b"somebody"), "0")
        self.assertEqual(server.stolen(), 0)

    def test_a_function_pointer(self):
        def steal(server):
            return b"A" * 32 + word(server.told()[0])

        def astray(server):
            return (b"A" * 40, b"A" * 32 + word(nowhere), b"A" * 32 + word(server.told()[1]))

        alone = self.attacked(children=8)
        self.assertEqual([alone.ask("visit", payload) for payload in astray(alone)], ["dropped"] * 3)
        self.assertEqual((alone.ask("visit", steal(alone)), alone.stolen()), ("dropped", 1))
        alone.stop()

        for _ in ("first", "from then on"):
            server = self.attacked(self.store().environment(), children=8)
            for payload in astray(server):
                self.assertEqual(server.ask("visit", payload), "dropped")
            region = self.learned(server)
            self.assertEqual((region["fault"]["kind"], region["security_event"], region["policy"]),
                             ("exec-violation", True, "stop"))
            self.assertEqual(server.ask("visit", b"somebody"), "0")
            self.assertEqual(server.stolen(), 0)
            # A limit: a pointer to the beginning of a function is as good as any other.
            self.assertEqual((server.ask("visit", steal(server)), server.stolen()), ("dropped", 1))
            server.stop()

        # Who wants such requests refused gets that for pointers to data: those are seen before they are followed.
        self.store().cli("set", region["id"], "--policy", "heal")
        server = self.attacked(self.store().environment(), children=8)
        *others, data = astray(server)
        self.refuses(server, "visit", data)
        self.assertEqual([server.ask("visit", payload) for payload in others], ["dropped"] * 2)

    def test_a_canary_is_guessed_byte_by_byte(self):
        """Apache's children are forked by one process, so they all have its canary."""
        alone = self.attacked(children=12)
        distance = next(n for n in range(32, 200) if alone.ask("greet", b"A" * (n + 1)) == "dropped")
        canary = alone.told()[2]
        for known in range(8):  # each byte is told by one answer, whatever child gives it
            guess = b"A" * distance + canary[:known]
            self.assertEqual(alone.ask("greet", guess + canary[known:known + 1]), "0")
            self.assertEqual(alone.ask("greet", guess + bytes([canary[known] ^ 1])), "dropped")
        alone.stop()

        server = self.attacked(self.store().environment())
        canary = server.told()[2]
        self.assertEqual(server.ask("greet", b"A" * distance + canary[:1]), "0")  # NUL, always
        self.assertEqual(server.ask("greet", b"A" * distance + b"\0" + bytes([canary[1] ^ 1])), "dropped")
        self.learned(server)
        for known in range(1, 9):
            right, wrong = canary[:known], canary[:known - 1] + bytes([canary[known - 1] ^ 1])
            self.refuses(server, "greet", b"A" * distance + right, 1)
            self.refuses(server, "greet", b"A" * distance + wrong, 1)
        self.assertEqual(server.ask("greet", b"A" * distance), "0")

    def test_an_address_scan(self):
        alone = self.attacked()
        for page in range(3):
            self.assertEqual(alone.ask("peek", nowhere + page * 4096), "dropped")
        mapped = alone.told()[0]
        self.assertNotIn(alone.ask("peek", mapped), ("dropped", "refused"))
        alone.stop()

        server = self.attacked(self.store().environment())
        self.assertEqual(server.ask("peek", nowhere), "dropped")
        self.learned(server)
        self.refuses(server, "peek", nowhere, 50)  # one page is no scan
        pages = 0
        while server.ask("peek", nowhere + pages * 4096) == "refused":
            pages += 1
            self.assertLessEqual(pages, 48)
        self.assertGreaterEqual(pages, 32)
        self.learned(server)
        for page in range(3):  # every child knows, and for good
            self.assertEqual(server.ask("peek", nowhere + page * 4096), "dropped")
        self.assertIn("breaker open", self.store().cli("list"))
        self.serves(server)
        server.stop()
        again = self.attacked(self.store().environment())
        self.assertEqual(again.ask("peek", nowhere), "dropped")
        print(f"\nscan: {pages} pages were refused, then cut off")


class Flood(Case):
    """A healed crash, as often and as fast as several clients can ask for it."""

    attackers = 4

    def known(self):
        server = self.attacked(self.store().environment())
        self.assertEqual(server.ask("null"), "dropped")
        self.learned(server)
        server.stop()

    def flood(self, server, wanted):
        """Attacks until `wanted(refused, dropped)` says no more, while another client asks for what is right.
        What the attackers and that client were answered."""
        sent = "GET /attacks/null HTTP/1.0\r\n\r\n".encode()
        lock = threading.Lock()
        seen = {"refused": 0, "dropped": 0, "other": 0}
        right = wrong = 0
        going = threading.Event()
        going.set()
        problems = []

        def attack():
            try:
                while True:
                    with lock:
                        if not wanted(seen):
                            return
                        seen["refused"] += 1  # until it turns out otherwise: so many are asked for at most
                    reply = client.exchange(server.port, sent, 60)
                    if not reply.startswith(b"HTTP/1.1 500 "):
                        with lock:
                            seen["refused"] -= 1
                            seen["other" if reply else "dropped"] += 1
            except OSError as problem:
                problems.append(problem)

        attackers = [threading.Thread(target=attack) for _ in range(self.attackers)]
        for thread in attackers:
            thread.start()
        while any(thread.is_alive() for thread in attackers) or right == 0:
            try:
                answer = client.fetch(server.port, "/small.txt", 60)
                good = (answer.status, answer.body) == (200, web.small)
            except client.Dropped:
                good = False
            right, wrong = right + good, wrong + (not good)
        for thread in attackers:
            thread.join()
        self.assertEqual(problems, [])
        self.assertEqual((seen["other"], wrong), (0, 0), f"{seen}, others: {right} right, {wrong} not")
        return seen["refused"], seen["dropped"], right

    def test_ten_thousand_in_a_row(self):
        """With the budget lifted: what healing alone stands."""
        self.known()
        server = self.attacked(self.store().environment("heals-per-minute=0:heals-per-group=0"), mpm="event",
                               children=1, threads=8)
        self.flood(server, lambda seen: seen["refused"] < 400 and not seen["dropped"])  # whatever is made once is made now
        server.settled()
        before = {pid: maps.resources(pid) for pid in server.processes()}
        refused, dropped, right = self.flood(server, lambda seen: seen["refused"] < 10_000 and not seen["dropped"])
        server.settled()
        self.assertEqual((refused, dropped), (10_000, 0))
        self.assertEqual(server.processes(), list(before))
        for pid, was in before.items():
            process.wait_for(lambda p=pid, w=was: maps.resources(p).same_handles(w), f"{pid} holds what it held")
            self.assertLess(maps.resources(pid).memory, was.memory + 4096)
        print(f"\nflood: {refused} refused, {right} other requests answered meanwhile, all right")

    def test_the_budget(self):
        """By default: 600 a minute; behind that, each kills a child, as without us."""
        self.known()
        server = self.attacked(self.store().environment())
        begin = time.time() // 60
        refused, dropped, right = self.flood(server, lambda seen: seen["dropped"] < 12)
        minutes = int(time.time() // 60 - begin) + 1  # each has a budget of its own
        self.assertGreaterEqual(refused, 600)
        self.assertLessEqual(refused, 600 * minutes)
        self.assertIn("breaker open", self.store().cli("list"))
        server.settled()
        self.assertEqual(server.ask("null"), "dropped")
        self.serves(server)
        print(f"\nbudget: {refused} refused, then {dropped} dropped; {right} other requests answered meanwhile, all right")


class Computation(Case):
    """A request that costs next to nothing to send, and the server for ever to answer."""

    options = "hang-seconds=0.4:hang-instructions=1000000"
    shape = {"mpm": "event", "children": 1, "threads": 4}

    def check(self, attack, number, small, function, most_rounds):
        alone = self.attacked(**self.shape)
        worker, = alone.workers()
        answer = alone.ask(attack, small)
        self.assertNotIn(answer, ("refused", "dropped"))
        with alone.begin(attack, number) as unanswered:
            process.wait_for(lambda: process.processor_time(worker) > 1.5, "the worker computes", 120)
            self.assertEqual(select.select([unanswered], [], [], 0)[0], [])
            self.serves(alone)  # three threads are left
            alone.kill()

        server = self.attacked(self.store().environment(self.options), **self.shape)
        rounds = 0
        while not self.is_blamed(function):
            rounds += 1
            self.assertLessEqual(rounds, most_rounds, self.store().cli("list"))
            self.hang(server, attack, number)
        self.refuses(server, attack, number, 2)
        server.stop()

        server = self.attacked(self.store().environment(self.options), **self.shape)
        self.refuses(server, attack, number, 6)  # more than there are threads
        self.assertEqual(server.ask(attack, small), answer)
        print(f"\n{attack}: refused after {rounds} hang(s)")

    def hang(self, server, attack, number):
        """One thread computes until an operator kills its process; that is the moment the alarm counts."""
        for _ in range(130):  # only a worker that has come back from its waiting before is said to hang
            self.serves(server)
        worker, = server.workers()
        with server.begin(attack, number) as unanswered:
            process.wait_for(self.alarms, "the alarm is recorded", 120)
            self.serves(server)
            os.kill(worker, signal.SIGKILL)
            with unanswered.makefile("rb") as reply:
                self.assertEqual(self.all_of(reply), b"")
        server.settled()
        process.wait_for(lambda: not self.alarms(), "the alarm counts")

    def alarms(self):
        return [region for region in self.store().regions() if region["pending"]]

    def is_blamed(self, function):
        regions = self.store().regions()
        self.assertEqual({region["fault"]["kind"] for region in regions} | {"time-out"}, {"time-out"})
        return any(int(region["offset"], 16) == self.address_of(function) for region in regions)

    @staticmethod
    def address_of(function):
        table = subprocess.run(["nm", "-D", carriers.module("mod_attacks.so")], capture_output=True, text=True, check=True)
        return next(int(line.split()[0], 16) for line in table.stdout.splitlines() if line.endswith(" " + function))

    @staticmethod
    def all_of(reply):
        try:
            return reply.read()
        except ConnectionError:
            return b""

    def test_a_decompression_bomb(self):
        self.check("inflate", 1 << 62, 1000, "attack_inflate", 1)

    def test_a_quadratic_parser(self):
        """Its time goes by in a function that always returns, and that is blamed first (docs/faults.md, hangs)."""
        self.check("parse", 10_000_000, 30, "attack_parse", 3)


if __name__ == "__main__":
    case.main()
