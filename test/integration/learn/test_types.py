"""Declared return types, from debug information that lies beside a stripped program."""

import json
import os
import shutil
import signal
import subprocess

from servers import case, runtime

typed = os.environ["SELFHEAL_TYPED"]


class Types(case.Case):
    def setUp(self):
        self.program = os.path.join(self.folder, "typed")
        shutil.copy(typed, self.program)

    def objcopy(self, *arguments):
        subprocess.run(["objcopy", *arguments], check=True, cwd=self.folder, timeout=60)

    def start(self):
        return subprocess.run([self.program, "crash"], env=self.store().environment("report=never"),
                              capture_output=True, text=True, timeout=60, check=False)

    def read_types(self):
        environment = {**runtime.plain_environment(), "PATH": f"{self.folder}:{os.environ['PATH']}"}
        environment.pop("DEBUGINFOD_URLS", None)
        run = subprocess.run([runtime.command, "learn", "--json", "--types", "--store", self.store().folder],
                             env=environment, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(run.stdout)["functions"]

    def test_the_enumerator_that_says_failure_is_returned(self):
        self.objcopy("--only-keep-debug", "typed", "typed.debug")
        self.objcopy("--strip-all", "--add-gnu-debuglink=typed.debug", "typed")
        self.assertEqual(self.start().returncode, -signal.SIGSEGV)
        self.assertEqual(self.start().stdout, "accepted\n")
        known, = self.read_types()
        self.assertEqual((known["declared"], known["failing_enumerator"]), ("enumeration", "0x2"))
        self.assertEqual(self.start().stdout, "refused\n")

    def test_without_debug_information_nothing_is_known(self):
        self.objcopy("--strip-all", "typed")
        self.assertEqual(self.start().returncode, -signal.SIGSEGV)
        self.assertEqual(self.read_types(), [])
        self.assertEqual(self.start().stdout, "accepted\n")


if __name__ == "__main__":
    case.main()
