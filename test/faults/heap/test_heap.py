"""Heap faults: alone, first run, and the runs after it, until the program goes on.

    alone    libc's heap notices and aborts, or the processor does, or nobody
    first    the same, recorded
    second   the allocation probe is on: it names the access and the chunk, or knows the remedy already
    third    the remedy: the request succeeds, or its handler gets an error; the next request is right
"""

import json
import os
import subprocess
import unittest

from servers import case, faulty, runtime

program = os.environ["SELFHEAL_HEAP"]
usage = os.environ["SELFHEAL_HEAP_USAGE"]
jemalloc = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
abort, segv = -6, -11


class Heap(faulty.FaultyCase):
    def serve(self, request, options="", preload=""):
        environment = self.store().environment(options)
        if preload:
            environment["LD_PRELOAD"] += ":" + preload
        return self.start([program, "good", request, request, "good"], environment=environment)

    def infos(self):
        return [json.loads(self.store().cli("info", "--json", region["id"])) for region in self.store().regions()]

    def info_of(self, kind):
        found = [info for info in self.infos() if info["last_fault"]["kind"] == kind]
        self.assertEqual(len(found), 1, [info["last_fault"]["kind"] for info in self.infos()])
        return found[0]

    def dies(self, request, status, kind, options=""):
        run = self.serve(request, options)
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        self.assertEqual(run.stdout, "good: done (served 1)\n")
        return self.info_of(kind)

    def dies_alone(self, request, status):
        run = self.alone([program, "good", request, "good"])
        self.assertEqual((run.returncode, run.stdout), (status, "good: done (served 1)\n"))

    def goes_on(self, request, answer, options="", preload=""):
        run = self.serve(request, options, preload)
        name = request.split(":")[-1]
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(run.stdout, f"good: done (served 1)\n{name}: {answer} (served 2)\n"
                                     f"{name}: {answer} (served 3)\ngood: done (served 4)\n")

    def healed(self):
        return sum(info["outcomes"]["healed"] for info in self.infos())

    def check_padded(self, request, size=1000):
        """Corruption; then the very access; then room for it."""
        self.dies_alone(request, abort)
        self.dies(request, abort, "heap-corruption")
        found = self.dies(request, segv, "heap-overflow")["last_fault"]
        self.assertEqual(found["access"], "write")
        self.assertEqual(found["detail"]["chunk_size"], size)
        self.goes_on(request, "done")
        self.goes_on(request, "done")
        self.assertEqual(self.healed(), 4)

    def test_few_bytes_beyond_the_end(self):
        self.check_padded("few")

    def test_on_another_thread(self):
        self.check_padded("thread:few")

    def test_by_strcpy(self):
        self.check_padded("copy")

    def test_by_sprintf(self):
        self.check_padded("print")

    def test_many_bytes_beyond_the_end(self):
        """More than the padding has room for: the engine returns an error before it."""
        self.dies_alone("many", abort)
        self.dies("many", abort, "heap-corruption")
        self.dies("many", segv, "heap-overflow")
        self.goes_on("many", "error")
        before = self.info_of("heap-overflow")["padding"]
        self.goes_on("many", "error")
        self.assertGreater(self.info_of("heap-overflow")["padding"], before)

    def test_wild_overflow(self):
        self.dies_alone("lot", segv)
        self.dies("lot", segv, "wild-access")
        self.goes_on("lot", "error")

    def test_before_the_beginning(self):
        """Found when the chunk is freed, which has come to no harm; then with the guard page before it."""
        self.dies_alone("under", abort)
        self.dies("under", abort, "heap-corruption")
        self.goes_on("under", "done")
        found = self.info_of("heap-overflow")["last_fault"]
        self.assertEqual((found["access"], found["detail"]["chunk_size"]), ("none", 1000))
        self.assertLess(found["detail"]["chunk_offset"], 0)
        run = self.serve("under")
        self.assertEqual((run.returncode, run.stdout), (segv, "good: done (served 1)\n"))
        accesses = [info["last_fault"] for info in self.infos() if info["last_fault"]["access"] == "write"]
        self.assertEqual([fault["detail"]["chunk_offset"] for fault in accesses], [-1])
        self.goes_on("under", "error")

    def test_in_a_child(self):
        """The child dies, the parent serves on; then neither dies."""
        command = [program, "good", "child:few", "good"]
        for expected in ("heap-corruption", "heap-overflow"):
            run = self.start(command)
            self.assertEqual((run.returncode, run.stdout),
                             (0, "good: done (served 1)\nchild: died\ngood: done (served 2)\n"))
            self.info_of(expected)
        run = self.start(command)
        self.assertEqual((run.returncode, run.stdout), (0, "good: done (served 1)\nfew: done (served 2)\n"
                                                           "child: ended\ngood: done (served 2)\n"))

    def test_write_after_free(self):
        self.dies_alone("late_write", abort)
        self.dies("late_write", abort, "heap-corruption")
        found = self.dies("late_write", segv, "use-after-free")["last_fault"]
        self.assertEqual((found["detail"]["chunk_size"], found["detail"]["chunk_offset"]), (40, 0))
        self.goes_on("late_write", "done")
        self.assertEqual(self.store().regions()[0]["policy"], "heal")

    def test_read_after_free(self):
        """What it leads to is wild. In the engine the free is held back, so there is nothing to heal then."""
        self.dies_alone("late_read", segv)
        self.dies("late_read", segv, "wild-access")
        self.goes_on("late_read", "done")

    def test_read_after_free_with_the_probe(self):
        self.dies("late_read", segv, "use-after-free", "heap-probe=always")
        self.goes_on("late_read", "done")

    def check_ignored(self, request):
        self.dies_alone(request, abort)
        self.dies(request, abort, "bad-free")
        self.goes_on(request, "done")
        self.assertEqual(self.healed(), 2)
        self.goes_on(request, "done")
        self.assertEqual(self.healed(), 4)

    def test_double_free(self):
        self.check_ignored("twice")

    def test_free_of_the_middle(self):
        self.check_ignored("inside")

    def test_free_of_stack_memory(self):
        self.check_ignored("stack")

    def test_realloc_of_the_middle(self):
        self.check_ignored("again")

    def test_double_free_seen_by_the_probe(self):
        found = self.dies("twice", abort, "bad-free", "heap-probe=always")["last_fault"]
        self.assertEqual((found["detail"]["chunk_size"], found["detail"]["chunk_offset"]), (40, 0))
        self.goes_on("twice", "done")

    def test_the_user_says_stop(self):
        self.dies("twice", abort, "bad-free")
        self.store().cli("disable", self.store().regions()[0]["id"])
        self.dies("twice", abort, "bad-free")

    def test_never(self):
        for _ in range(3):
            self.dies("few", abort, "heap-corruption", "heap-probe=never")


class Ordinary(case.Case):
    """The probe changes nothing of a program that uses its heap well."""

    def watched(self, command, preload="", **more):
        environment = self.store().environment("heap-probe=always")
        if preload:
            environment["LD_PRELOAD"] += ":" + preload
        return subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False, **more)

    def same(self, *command, text=b""):
        plain = subprocess.run(command, env=runtime.plain_environment(), capture_output=True, timeout=120,
                               input=text, check=False)
        found = self.watched(command, input=text)
        self.assertEqual((found.returncode, found.stdout, found.stderr),
                         (plain.returncode, plain.stdout, plain.stderr))
        self.assertEqual(self.store().regions(), [])

    def test_every_function_of_the_heap(self):
        run = self.watched([usage])
        self.assertEqual((run.returncode, run.stdout), (0, b"all is well\n"))

    @unittest.skipUnless(os.path.exists(jemalloc), "libjemalloc2 is in scripts/dependencies")
    def test_every_function_of_jemalloc(self):
        run = self.watched([usage], jemalloc)
        self.assertEqual((run.returncode, run.stdout), (0, b"all is well\n"))

    def test_little_address_space(self):
        run = self.watched(["/bin/bash", "-c", f"ulimit -v 2000000; exec {usage}"])
        self.assertEqual((run.returncode, run.stdout), (0, b"all is well\n"))

    def test_python(self):
        self.same("/usr/bin/python3", "-c", "import json; d={str(i): list(range(i % 50)) for i in range(5000)};"
                  "print(hash(tuple(map(len, json.loads(json.dumps(d)).values()))))")

    def test_perl(self):
        self.same("/usr/bin/perl", "-e", 'my %h; $h{$_ % 997} .= "x$_" for 1..50000; '
                  'print join(",", map { length $h{$_} } sort { $a <=> $b } keys %h), "\\n"')

    def test_sqlite(self):
        self.same("/usr/bin/sqlite3", ":memory:", "create table t(a,b); with recursive c(x) as (select 1 union all "
                  "select x+1 from c where x<20000) insert into t select x, hex(x*x) from c; create index i on t(b);"
                  "select count(*), min(b), max(b) from t;")

    def check_in_engine(self, *command):
        """With the whole program as a region, each of its accesses is checked."""
        name, statistics = os.path.basename(command[0]), os.path.join(self.folder, "statistics")
        plain = subprocess.run(command, env=runtime.plain_environment(), capture_output=True, timeout=60, check=False)
        environment = self.store().environment(f"heap-probe=always:region={name}!main:statistics={statistics}")
        found = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
        self.assertEqual((found.returncode, found.stdout, found.stderr), (0, plain.stdout, plain.stderr))
        self.assertEqual(self.store().regions(), [])
        with open(statistics, encoding="utf-8") as lines:
            self.assertGreater(json.loads(lines.readline())["instructions"], 1000000)

    def test_sqlite_in_the_engine(self):
        self.check_in_engine("/usr/bin/sqlite3", ":memory:", "with recursive c(x) as (select 1 union all select x+1 "
                             "from c where x<3000) select sum(x), max(hex(x)) from c;")

    def test_perl_in_the_engine(self):
        self.check_in_engine("/usr/bin/perl", "-e", 'my %h; $h{$_%97}.="x$_" for 1..3000; '
                             'print length(join q(,), map {$h{$_}} sort keys %h)')

    def test_gcc(self):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "usage.c")
        self.same("/usr/bin/gcc", "-O2", "-S", "-o", "-", source)


if __name__ == "__main__":
    case.main()
