"""A test case with a folder of its own that outlives a failure."""

import os
import shutil
import sys
import tempfile
import unittest

from . import runtime


class Case(unittest.TestCase):
    maxDiff = 4000

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result else 0
        self.folder = tempfile.mkdtemp(prefix=f"selfheal-{self._testMethodName}-")
        os.chmod(self.folder, 0o755)  # servers that drop root have to reach it
        try:
            return super().run(result)
        finally:
            if result and len(result.failures) + len(result.errors) > before:
                self._say_how_to_replay()
            else:
                shutil.rmtree(self.folder, ignore_errors=True)

    def store(self, name="store"):
        return runtime.Store(os.path.join(self.folder, name))

    def _say_how_to_replay(self):
        ours = " ".join(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith("SELFHEAL_"))
        file = sys.modules[type(self).__module__].__file__
        print(f"\n{self.id()} failed; its files are kept in {self.folder}\n"
              f"replay: env {ours} PYTHONPATH={os.environ.get('PYTHONPATH', '')} "
              f"python3 {os.path.abspath(file)} -v {type(self).__name__}.{self._testMethodName}\n",
              file=sys.stderr)


def main():
    unittest.main(verbosity=2)
