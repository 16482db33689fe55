"""What `cmake --install` lays down works for somebody who has nothing else of ours."""

import os
import subprocess

from servers import case, runtime


class Install(case.Case):
    def run_it(self, *command, **environment):
        run = subprocess.run([str(c) for c in command], cwd=self.folder, capture_output=True, text=True, timeout=120,
                             check=False, env={**runtime.plain_environment(), **environment})
        self.assertEqual(run.returncode, 0, f"{command}\n{run.stdout}{run.stderr}")
        return run.stdout

    def setUp(self):
        self.prefix = os.path.join(self.folder, "prefix")
        self.run_it("cmake", "--install", os.environ["SELFHEAL_BINARY_DIR"], "--prefix", self.prefix)

    def installed(self):
        return sorted(os.path.relpath(os.path.join(folder, name), self.prefix)
                      for folder, _, names in os.walk(self.prefix) for name in names)

    def test_the_files(self):
        names = self.installed()
        for wanted in ("bin/selfheal", "include/selfheal/selfheal.h"):
            self.assertIn(wanted, names)
        self.assertTrue(any(name.endswith("/libselfheal.so") for name in names), names)
        strangers = [n for n in names if not n.startswith(("bin/selfheal", "include/selfheal/")) and
                     "libselfheal.so" not in n and "/cmake/selfheal/" not in n]
        self.assertEqual(strangers, [], "nothing of the parts inside may be installed")

    def test_a_project_that_links_it(self):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consumer")
        build = os.path.join(self.folder, "consumer")
        self.run_it("cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.run_it("cmake", "--build", build)
        version = os.environ["SELFHEAL_VERSION"]
        store = os.path.join(self.folder, "store")
        self.assertEqual(self.run_it(build + "/consumer_c", SELFHEAL_STORE=store), f"{version} 1 0 0\n")
        self.assertEqual(self.run_it(build + "/consumer_c", SELFHEAL_STORE=store, SELFHEAL_OPTIONS="mode=off"),
                         f"{version} 0 0 0\n")
        self.assertEqual(self.run_it(build + "/consumer_cpp", SELFHEAL_STORE=store), f"{version}\n")

    def test_the_installed_command_finds_the_installed_library(self):
        maps = self.run_it(self.prefix + "/bin/selfheal", "run", "--", "cat", "/proc/self/maps",
                           SELFHEAL_STORE=os.path.join(self.folder, "store"))
        self.assertIn(self.prefix, maps)
        self.assertIn("libselfheal.so", maps)


if __name__ == "__main__":
    case.main()
