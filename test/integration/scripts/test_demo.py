"""README's first command, on what is built: a crash, what is recorded, the heal."""

import os
import subprocess

from servers import case, runtime

root = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))


class Demo(case.Case):
    def test_the_demo_crashes_and_heals_and_leaves_nothing_behind(self):
        run = subprocess.run([os.path.join(root, "scripts/demo"), os.environ["SELFHEAL_BINARY_DIR"]],
                             env={**runtime.plain_environment(), "TMPDIR": self.folder}, capture_output=True, text=True,
                             timeout=100, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        for line in ("(the server is gone: exit status 139)", "stock_supplier", "error 404", "error 409",
                     "the half-done order was rolled back"):
            self.assertIn(line, run.stdout)
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("selfheal-demo")], [])


if __name__ == "__main__":
    case.main()
