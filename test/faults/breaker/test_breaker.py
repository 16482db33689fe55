"""An attacker against a forking server: a canary guessed byte by byte, memory scanned through a
healed wild read, and a flood of a healed crash. All are cut off where docs/faults.md says so."""

import contextlib
import os
import signal
import socket
import subprocess
import time

from servers import case, runtime

victim = os.environ["VICTIM"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Target:
    """The server, and how an attacker talks to it."""

    def __init__(self, environment, kind="children", supervisor=()):
        self.port = free_port()
        self.process = subprocess.Popen([*supervisor, victim, str(self.port), kind], env=environment,
                                        stderr=subprocess.PIPE, start_new_session=True)

    def ask(self, request, patience=30):
        """The reply; None: the connection was closed without one, or there is nobody."""
        deadline = time.monotonic() + patience
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
                    connection.sendall(request)
                    return connection.recv(100) or None
            except ConnectionRefusedError:
                if self.ended() or time.monotonic() > deadline:
                    return None
                time.sleep(0.02)
            except ConnectionResetError:
                return None

    def ended(self):
        return self.process.poll() is not None

    def stop(self):
        self.process.terminate()  # a supervisor takes its program, of another process group, with it
        try:
            self.process.wait(10)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if not self.process.stderr.closed:
            self.said = self.process.stderr.read().decode(errors="replace")
            self.process.stderr.close()
        return self.said


def guess_canary(target, most):
    """One byte after the other, oracle: did the child answer? The known bytes, and the probes used."""
    known = b""
    probes = 0
    filler = b"A" * distance
    while len(known) < 8:
        for byte in range(256):
            if probes == most or target.ended():
                return known, probes
            probes += 1
            reply = target.ask(b"o " + filler + known + bytes([byte]))
            if reply == b"ok\n":
                known += bytes([byte])
                break
            if reply == b"refused\n":
                return known, probes
        else:
            return known, probes
    return known, probes


# From the buffer to the canary, which the attacker knows from the program: -fstack-protector puts
# arrays next to it.
distance = 40


class Breaker(case.Case):
    def target(self, options="", kind="children", supervisor=(), plain=False):
        environment = (runtime.plain_environment() if plain
                       else self.store().environment("report=always:" + options))
        target = Target(environment, kind, supervisor)
        self.addCleanup(target.stop)
        self.assertTrue(target.ask(b"h").startswith(b"ok"))
        return target

    def known_bug(self, request, kind="children"):
        """The bug's first fault, so that it is in the catalog."""
        target = self.target(kind=kind)
        self.assertIsNone(target.ask(request))
        said = target.stop()
        regions = self.store().regions()
        self.assertEqual(len(regions), 1, said)
        return regions[0]

    # Canary

    def test_a_canary_can_be_guessed_without_us(self):
        known, probes = guess_canary(self.target(plain=True), most=8 * 256)
        self.assertEqual(len(known), 8, f"after {probes} probes")
        print(f"\nalone: the canary is known after {probes} probes")

    def test_after_the_first_death_the_oracle_is_gone(self):
        target = self.target()
        known, probes = guess_canary(target, most=8 * 256)
        self.assertFalse(target.ended())
        self.assertEqual(target.ask(b"o " + b"B" * 100), b"refused\n")
        self.assertEqual(target.ask(b"o short"), b"ok\n")
        # The first byte of a canary is always NUL; each further one at the first guess is mere luck.
        self.assertLess(len(known), 4)
        self.assertLess(probes, 9)
        print(f"\nprotected: refused at probe {probes}, {len(known)} byte(s) known")

    def test_where_nothing_can_be_patched_the_server_ends_after_the_stated_deaths(self):
        target = self.target("mode=observe")
        known, probes = guess_canary(target, most=8 * 256)
        # The child of the probe behind the last death may already be there.
        target.process.wait(timeout=60)
        self.assertEqual(target.process.returncode, -signal.SIGKILL)
        said = target.stop()
        deaths = said.count("the canary was damaged")
        self.assertIn("security event: too many processes", said)
        self.assertEqual(deaths, 16)
        self.assertLess(len(known), 5)
        print(f"\nnot patched: ended after {deaths} deaths, {probes} probes, {len(known)} byte(s) known")

    def layout_of(self, target):
        """Nobody answers who has taken the connection and then ends, or is being started again."""
        deadline = time.monotonic() + 60
        while not (reply := target.ask(b"h", 60)):
            self.assertLess(time.monotonic(), deadline)
        return reply.split()[1]

    def test_started_again_the_server_has_another_layout_and_canary(self):
        target = self.target("mode=observe", supervisor=[
            runtime.command, "run", "--restart", "--restart-delay", "0.05", "--max-restart-delay", "0.05",
            "--store", self.store().folder, "--mode", "observe", "--"])
        before = self.layout_of(target)
        deaths = 0
        while self.layout_of(target) == before:
            target.ask(b"o " + b"A" * 100)
            deaths += 1
        self.assertGreaterEqual(deaths, 16)
        self.assertLessEqual(deaths, 18)
        self.assertFalse(target.ended())
        print(f"\nrestarted with another layout after {deaths} deaths")

    # Address scan

    def scan(self, target, first, most):
        """Unmapped pages from `first` on, until an answer fails to come; how many did."""
        for i in range(most):
            if target.ask(b"p %x" % (first + i * 4096)) != b"refused\n":
                return i
        return most

    def test_an_address_scan_is_cut_off_for_all_workers_and_for_good(self):
        nowhere = 0x10_0000_0000
        region = self.known_bug(b"p %x" % nowhere, "workers")
        target = self.target(kind="workers")
        for _ in range(100):  # one page is no scan
            self.assertEqual(target.ask(b"p %x" % nowhere), b"refused\n")
        healed = self.scan(target, nowhere, 1000)
        self.assertGreaterEqual(healed, 32)
        self.assertLessEqual(healed, 48)
        print(f"\nscan: {healed} pages answered, then cut off")
        for i in range(8):  # whichever worker: none heals it
            self.assertIsNone(target.ask(b"p %x" % (nowhere + i * 4096)))
        self.assertTrue(target.ask(b"h").startswith(b"ok"))
        listed, = self.store().regions()
        self.assertEqual(listed["id"], region["id"])
        self.assertIn("breaker open", self.store().cli("list"))
        said = target.stop()
        self.assertIn("somebody may be looking for", said)
        # A restart gives no new budget; the user does.
        again = self.target(kind="workers")
        self.assertIsNone(again.ask(b"p %x" % nowhere))
        self.store().cli("enable", region["id"])
        again.ask(b"h")
        self.assertNotIn("breaker open", self.store().cli("list"))
        deadline = time.monotonic() + 60
        while again.ask(b"p %x" % nowhere) != b"refused\n":  # each worker sees it when it is free
            self.assertLess(time.monotonic(), deadline)

    # Flood

    def test_a_flood_of_a_healed_crash_uses_up_its_budget_and_the_others_are_served(self):
        self.known_bug(b"n", "workers")
        # Neither does the minute end within the flood, nor the pause of a minute within the test.
        while time.time() % 60 > 25:
            time.sleep(0.2)
        target = self.target("heals-per-minute=50", kind="workers")
        healed = 0
        while target.ask(b"n") == b"refused\n":
            healed += 1
            self.assertLessEqual(healed, 50)
            if healed % 10 == 0:
                self.assertTrue(target.ask(b"h").startswith(b"ok"))
        self.assertEqual(healed, 50)
        for _ in range(8):
            self.assertIsNone(target.ask(b"n"))
            self.assertTrue(target.ask(b"h").startswith(b"ok"))
        self.assertIn("breaker open", self.store().cli("list"))
        self.assertIn("healing pauses", target.stop())
        print(f"\nflood: {healed} healed, then as without us")

    def test_a_group_of_regions_has_one_budget(self):
        self.known_bug(b"n", "workers")
        target = self.target(kind="workers")
        self.assertIsNone(target.ask(b"p 1000000000"))
        target.stop()
        while time.time() % 60 > 40:
            time.sleep(0.2)
        target = self.target("heals-per-group=20", kind="workers")
        replies = [target.ask(b"n" if i % 2 else b"p 1000000000") for i in range(24)]
        self.assertEqual(replies[:20], [b"refused\n"] * 20)
        self.assertEqual(replies[20:], [None] * 4)


if __name__ == "__main__":
    case.main()
