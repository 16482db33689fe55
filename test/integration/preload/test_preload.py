"""Programs that have nothing to do with us behave the same with the library preloaded."""

import os
import subprocess

from servers import case, runtime

throws = os.environ["SELFHEAL_THROWS"]
plugin = os.environ["SELFHEAL_PLUGIN"]

node_script = """
const {execFileSync} = require('child_process');
const {Worker, isMainThread} = require('worker_threads');
let re = 0; for (let i = 0; i < 2e5; ++i) re += 'x'.repeat(i % 50).match(/x*/)[0].length;
console.log(re, execFileSync('echo', ['child']).toString());
try { null.f } catch (e) { console.log(e instanceof TypeError) }
new Worker("require('worker_threads').parentPort.postMessage(6*7)", {eval: true}).on('message', console.log);
process.exitCode = 9;
"""

python_script = """
import ctypes, multiprocessing, os, signal, subprocess, sys, threading, json, ssl
print(json.dumps({"sum": sum(range(10000))}), ssl.OPENSSL_VERSION)
got = []
signal.signal(signal.SIGUSR1, lambda n, f: got.append(n))
os.kill(os.getpid(), signal.SIGUSR1)
t = threading.Thread(target=lambda: got.append('thread')); t.start(); t.join()
print(got, subprocess.run(['sh', '-c', 'echo sub; exit 3'], capture_output=True))
print(signal.getsignal(signal.SIGSEGV), signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGSEGV, signal.SIGUSR2}))
print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
pid = os.fork()
if pid == 0: os._exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
sys.exit(7)
"""

bash_script = """
set -u; trap 'echo trapped' USR1; kill -USR1 $$; trap 'echo leaving' EXIT
x=$(printf '%s\\n' a b c | sort -r | tr '\\n' ' '); echo "$x" >&2
(exit 4); echo $?; for i in 1 2 3; do (echo $i) & wait; done; sleep 0 | cat; exit 11
"""

crash_script = "import faulthandler, os; os.write(1, b'before\\n'); import ctypes; ctypes.string_at(0)"
handled_script = """
import ctypes, faulthandler, sys
faulthandler.enable(all_threads=False)
ctypes.string_at(0)
"""


class Preload(case.Case):
    def both(self, *command, stdin=b""):
        """Runs a command without and with the runtime (mode=heal, an empty store)."""
        store = self.store()
        runs = [subprocess.run(command, input=stdin, env=environment, capture_output=True, timeout=60, check=False)
                for environment in (runtime.plain_environment(), store.environment())]
        return runs

    def assert_same(self, *command, status=None, stdin=b""):
        alone, together = self.both(*command, stdin=stdin)
        if status is not None:
            self.assertEqual(alone.returncode, status, alone.stderr)
        self.assertEqual((together.returncode, together.stdout, together.stderr),
                         (alone.returncode, alone.stdout, alone.stderr))

    def test_the_library_is_really_loaded(self):
        _, together = self.both("cat", "/proc/self/maps")
        self.assertIn(os.path.basename(runtime.library).encode(), together.stdout)

    def test_true(self):
        self.assert_same("true", status=0)

    def test_bash(self):
        self.assert_same("bash", "-c", bash_script, status=11)

    def test_python(self):
        self.assert_same("python3", "-c", python_script, status=7)

    def test_node(self):
        self.assert_same("node", "-e", node_script, status=9)

    def test_a_program_that_throws(self):
        self.assert_same(throws, status=41)

    def test_a_program_that_opens_a_cpp_library(self):
        self.assert_same(throws, plugin, status=41)

    def test_a_pipeline_with_a_lot_of_data(self):
        self.assert_same("sh", "-c", "sort -n | gzip -1 | gunzip | sha256sum", status=0,
                         stdin=b"".join(b"%d\n" % (i * 7919 % 100003) for i in range(100000)))

    def test_a_crash_ends_the_program_with_its_signal(self):
        self.assert_same("python3", "-c", crash_script, status=-11)

    def test_the_handler_of_the_program_is_asked(self):
        alone, together = self.both("python3", "-c", handled_script)
        self.assertEqual(together.returncode, alone.returncode)
        self.assertIn(b"Fatal Python error: Segmentation fault", together.stderr)

    def test_a_shell_reports_the_death_of_its_child(self):
        self.assert_same("bash", "-c", "exec 2>/dev/null; bash -c 'kill -SEGV $$'; echo $?", status=0)


class BadInput(case.Case):
    """What is wrong with our own files or settings costs one line on stderr and nothing else."""

    def say(self, store, options=""):
        run = subprocess.run(["echo", "hello"], env=store.environment(options), capture_output=True, text=True,
                             timeout=20, check=False)
        self.assertEqual((run.returncode, run.stdout), (0, "hello\n"))
        return run.stderr.splitlines()

    def test_a_good_store_costs_no_line(self):
        store = self.store()
        self.assertEqual(self.say(store), [])
        self.assertEqual(self.say(store), [])
        self.assertTrue(os.path.exists(os.path.join(store.folder, "journal")))

    def damaged(self, change):
        store = self.store()
        self.say(store)
        with open(os.path.join(store.folder, "journal"), "r+b") as f:
            change(f)
        lines = self.say(store)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("journal", lines[0])

    def test_a_journal_that_is_something_else(self):
        self.damaged(lambda f: f.write(b"#!/bin/sh\n"))

    def test_a_journal_of_another_version(self):
        self.damaged(lambda f: (f.seek(8), f.write(b"\x63")))

    def test_a_journal_cut_short(self):
        self.damaged(lambda f: f.truncate(5000))

    def test_an_empty_journal(self):
        self.damaged(lambda f: f.truncate(0))

    def test_a_store_that_is_a_file(self):
        store = self.store()
        with open(store.folder, "w", encoding="utf-8") as f:
            f.write("not a folder")
        lines = self.say(store)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(store.folder, lines[0])

    def test_a_misspelt_option_is_named_with_its_neighbour(self):
        lines = self.say(self.store(), "mdoe=observe")
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("mdoe", lines[0])
        self.assertRegex(lines[0], r"\bmode\b")


if __name__ == "__main__":
    case.main()
