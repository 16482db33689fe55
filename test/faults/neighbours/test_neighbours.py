"""Programs that use fault signals themselves behave the same with the library, whatever it watches for, as
long as no region is theirs; and `doctor` says what it found in them."""

import json
import os
import re
import shutil
import signal
import subprocess
import unittest

from servers import case, runtime

here = os.path.dirname(os.path.abspath(__file__))
built = os.environ["SELFHEAL_NEIGHBOURS"]  # folder of the compiled ones

# Every probe there is, at its keenest.
keen = {"hang-seconds": "1", "hang-scope": "all", "growth-megabytes": "1", "heap-probe": "always"}


def all_probes():
    options = json.loads(subprocess.run([runtime.command, "config", "--json"], capture_output=True, check=True,
                                        env=runtime.plain_environment()).stdout)["options"]
    return ":".join(f"{o['name']}={keen[o['name']]}" for o in options if o["name"] in keen)


def source(name):
    return os.path.join(here, name)


def binary(name):
    return os.path.join(built, name)


class Neighbour(case.Case):
    timeout = 150

    def environments(self):
        """Without us, with us, and with every probe; the latter may find something to record."""
        return [runtime.plain_environment(), self.store().environment(),
                self.store("keen-store").environment(all_probes())]

    def start(self, command, environment, **more):
        return subprocess.run([str(c) for c in command], env=environment, capture_output=True, timeout=self.timeout,
                              check=False, cwd=self.folder, **more)

    def assert_same(self, *command, status, volatile=None, every_probe=True):
        """`volatile`: what differs from run to run anyway."""
        def cleaned(text):
            return re.sub(volatile, b"*", text) if volatile else text
        alone, *together = [self.start(command, e) for e in self.environments()[:3 if every_probe else 2]]
        self.assertEqual(alone.returncode, status, (alone.stdout, alone.stderr))
        for run in together:
            self.assertEqual((run.returncode, cleaned(run.stdout), cleaned(run.stderr)),
                             (alone.returncode, cleaned(alone.stdout), cleaned(alone.stderr)))
        return alone

    def assert_nothing_recorded(self):
        listing = json.loads(self.store().cli("list", "--json"))
        self.assertEqual((listing["regions"], listing["events"]), ([], []))

    def assert_one_fault_recorded(self, kind):
        for store in (self.store(), self.store("keen-store")):
            listing = json.loads(store.cli("list", "--json"))
            self.assertEqual([r["fault"]["kind"] for r in listing["regions"]] +
                             [e["kind"] for e in listing["events"]], [kind])

    def doctor(self, program):
        """The check named "signals", and whether it says the program can be healed."""
        run = subprocess.run([runtime.command, "doctor", "--json", "--store", self.store().folder, program],
                             env=runtime.plain_environment(), capture_output=True, text=True, check=False)
        document = json.loads(run.stdout)
        found = {check["name"]: check for check in document["checks"]}
        return found, document["works"]

    def assert_doctor_says(self, program, text, works=True, check="signals"):
        found, says = self.doctor(program)
        self.assertIn(text, found[check]["message"])
        self.assertEqual(says, works)


class Java(Neighbour):
    def setUp(self):
        subprocess.run(["javac", "-d", self.folder, source("Neighbours.java")], check=True, timeout=150)

    def test_null_pointers_stack_overflows_and_the_compiler(self):
        self.assert_same("java", "-Xmx256m", "-cp", self.folder, "Neighbours", status=3)
        self.assert_nothing_recorded()

    def test_only_the_interpreter(self):
        self.assert_same("java", "-Xint", "-Xmx256m", "-cp", self.folder, "Neighbours", "short", status=3)
        self.assert_nothing_recorded()

    def test_a_thread_dump(self):
        for environment in self.environments():
            java = subprocess.Popen(["java", "-cp", self.folder, "Neighbours", "wait"], env=environment,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            with java:
                self.assertTrue(any(line == "ready\n" for line in java.stdout))
                java.send_signal(signal.SIGQUIT)
                self.assertTrue(any("Full thread dump" in line for line in java.stdout))
                self.assertTrue(any('"main"' in line for line in java.stdout))
                java.stdin.write("\n")
                java.stdin.close()
                java.stdout.read()
                self.assertEqual(java.wait(60), 3)
        self.assert_nothing_recorded()

    def test_doctor(self):
        self.assert_doctor_says("java", "Java virtual machine")


class Node(Neighbour):
    def test_web_assembly_traps_recursion_and_workers(self):
        self.assert_same("node", source("traps.js"), status=9)
        self.assert_nothing_recorded()

    def test_doctor(self):
        self.assert_doctor_says("node", "Node.js")


class Python(Neighbour):
    def test_faulthandler_recursion_and_threads(self):
        self.assert_same("/usr/bin/python3", source("faulthandlers.py"), "none", status=5)
        self.assert_nothing_recorded()

    def died(self, what, number, kind):
        self.assert_same("/usr/bin/python3", source("faulthandlers.py"), what, status=-number,
                         volatile=rb"0x[0-9a-f]{16}")
        self.assert_one_fault_recorded(kind)

    def test_dying_of_a_segmentation_fault(self):
        self.died("null", signal.SIGSEGV, "null-access")

    def test_dying_of_a_signal_it_sends_itself(self):
        self.died("segv", signal.SIGSEGV, "signal")

    def test_dying_of_an_abort(self):
        self.died("abrt", signal.SIGABRT, "abort")

    def test_dying_of_a_division(self):
        self.died("fpe", signal.SIGFPE, "divide")

    def test_dying_of_an_exhausted_stack(self):
        self.died("stack", signal.SIGSEGV, "stack-exhaustion")


class Go(Neighbour):
    go = shutil.which("go") or "/usr/lib/go-1.19/bin/go"

    def build(self, cgo):
        program = os.path.join(self.folder, f"program-cgo{cgo}")
        cache = os.path.join(built, "go-cache")
        subprocess.run([self.go, "build", "-o", program, source("program.go"),
                        source("preload_cgo.go" if cgo else "preload_static.go")], check=True, timeout=300,
                       env={**runtime.plain_environment(), "CGO_ENABLED": str(cgo), "GOCACHE": cache, "HOME": self.folder,
                            "GO111MODULE": "off", "GOFLAGS": "-p=2"})
        return program

    def test_without_cgo_it_is_not_affected_and_is_told_so(self):
        program = self.build(0)
        self.assert_same(program, status=6)
        self.assert_nothing_recorded()
        found, works = self.doctor(program)
        self.assertFalse(works)
        self.assertIn("statically linked", found["linkage"]["message"])
        self.assertIn("it is not affected", found["linkage"]["message"])
        run = self.start([runtime.command, "run", "--", program], self.store().environment())
        self.assertEqual((run.returncode, run.stdout), (6, self.start([program], runtime.plain_environment()).stdout))
        self.assertIn(b"runs without healing: it is a Go program", run.stderr)

    def test_with_cgo(self):
        program = self.build(1)
        self.assert_same(program, status=6)
        self.assert_nothing_recorded()
        self.assert_doctor_says(program, "it is a Go program", works=False)
        self.assert_same(program, "die", status=2, volatile=rb"(?s)goroutine .*|0x[0-9a-f]+|sigcode=.*")


class Sanitizers(Neighbour):
    def test_address_sanitizer_refuses_and_doctor_says_so(self):
        program = binary("neighbours_asan")
        alone = self.start([program], runtime.plain_environment())
        self.assertEqual((alone.returncode, alone.stdout), (3, b"xxxxxxxx\n"))
        together = self.start([program], self.store().environment())
        self.assertIn(b"ASan runtime does not come first in initial library list", together.stderr)
        self.assert_doctor_says(program, "AddressSanitizer", works=False)

    def test_address_sanitizer_loaded_first_works(self):
        """With its runtime first in LD_PRELOAD it starts, and finds what it finds."""
        program = binary("neighbours_asan")
        asan = next(line.split()[2] for line in subprocess.run(["ldd", program], capture_output=True, text=True,
                                                               check=True).stdout.splitlines() if "libasan" in line)
        for arguments, status in (([], 3), (["bad"], 1)):
            runs = []
            for environment in self.environments():
                preload = ":".join(p for p in (asan, environment.get("LD_PRELOAD")) if p)
                runs.append(self.start([program, *arguments], {**environment, "LD_PRELOAD": preload}))
            for run in runs:
                self.assertEqual((run.returncode, run.stdout), (status, b"xxxxxxxx\n"), run.stderr)
                self.assertEqual(b"heap-buffer-overflow" in run.stderr, status == 1)

    def test_thread_sanitizer(self):
        program = binary("neighbours_tsan")
        self.assert_doctor_says(program, "ThreadSanitizer", works=False)

    def test_undefined_behaviour_sanitizer(self):
        program = binary("neighbours_ubsan")
        self.assert_same(program, status=3)
        run = self.assert_same(program, "bad", status=3)
        self.assertIn(b"signed integer overflow", run.stderr)
        self.assert_nothing_recorded()


class PageFaults(Neighbour):
    def test_libsigsegv(self):
        self.assert_same(binary("neighbours_handlers"), status=4)
        self.assert_nothing_recorded()
        self.assert_doctor_says(binary("neighbours_handlers"), "libsigsegv")

    def test_libsigsegv_and_a_fault_nobody_wants(self):
        self.assert_same(binary("neighbours_handlers"), "die", status=-signal.SIGSEGV)
        self.assert_one_fault_recorded("null-access")

    def test_userfaultfd(self):
        alone = self.start([binary("neighbours_on_demand")], runtime.plain_environment())
        if alone.returncode == 77:
            self.skipTest("userfaultfd is not allowed here: " + alone.stderr.decode())
        self.assert_same(binary("neighbours_on_demand"), status=4)
        self.assert_nothing_recorded()


class Interpreters(Neighbour):
    def test_luajit(self):
        self.assert_same("luajit", source("jit.lua"), status=8)
        self.assert_nothing_recorded()

    def test_ruby(self):
        self.assert_same("ruby", source("stack.rb"), status=4)
        self.assert_nothing_recorded()
        self.assert_doctor_says("ruby", "Ruby")

    def test_php(self):
        self.assert_same("php", source("jit.php"), status=6)
        self.assert_nothing_recorded()

    def test_mono(self):
        program = os.path.join(self.folder, "Neighbours.exe")
        subprocess.run(["mcs", f"-out:{program}", source("Neighbours.cs")], check=True, timeout=150)
        # With every probe forced on, about one run in forty dies: docs/faults.md.
        self.assert_same("mono", program, status=7, every_probe=False)
        self.assert_nothing_recorded()
        self.assert_doctor_says("mono", "Mono")


if __name__ == "__main__":
    unittest.main(defaultTest=os.environ.get("SELFHEAL_NEIGHBOUR"), verbosity=2)
