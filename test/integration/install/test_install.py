"""What `cmake --install` lays down works for somebody who has nothing else of ours."""

import json
import os
import re
import signal
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
        strangers = [n for n in names if not n.startswith(("bin/selfheal", "include/selfheal/", "share/doc/selfheal/")) and
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

    def test_tests_that_fail_when_something_was_recorded_or_healed(self):
        """selfheal_add_test(): each test of the consumer's that is named fails_* does, and says why."""
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consumer")
        build = os.path.join(self.folder, "consumer")
        self.run_it("cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.run_it("cmake", "--build", build)
        crash = subprocess.run([self.prefix + "/bin/selfheal", "run", "--store", build + "/known", "--",
                                build + "/parser", "crash"], env=runtime.plain_environment(), timeout=60,
                               capture_output=True, check=False)
        self.assertEqual(crash.returncode, -signal.SIGSEGV, crash.stderr)

        said = subprocess.run(["ctest", "--test-dir", build, "-V"], env=runtime.plain_environment(), timeout=120,
                              capture_output=True, text=True, check=False).stdout
        found = dict(re.findall(r"Test +#\d+: (\w+) \.+ *(?:\*+)?(Passed|Failed)", said))
        why = {
            "passes": None,
            "passes_with_the_heals_allowed": None,
            "fails_by_itself": "the command ended with: 3",
            "fails_with_a_crash": "faults recorded: 1",
            "fails_with_a_hidden_crash": "faults recorded: 1",
            "fails_with_a_heal": "faults healed: 1, allowed: 0",
            "fails_with_more_heals_than_allowed": "faults healed: 2, allowed: 1",
            "fails_with_options": "faults recorded: 1",
            "fails_out_of_reach": "nothing would be noticed",
        }
        self.assertEqual(found, {name: "Failed" if reason else "Passed" for name, reason in why.items()}, said)
        for name, reason in why.items():
            number = re.search(rf"Test +#(\d+): {name} ", said).group(1)
            lines = "\n".join(re.findall(rf"^{number}: (.*)$", said, re.MULTILINE))
            if reason:
                self.assertIn(reason, lines, name)
            if "hidden" in name:
                self.assertNotIn("the command ended", lines)
            if name == "passes":  # the arguments as they were
                self.assertIn("3\n9\n9", lines)
            if name == "passes_with_the_heals_allowed":
                self.assertIn("refused\nrefused", lines)
        # The store that was given is as it was.
        listing = subprocess.run([self.prefix + "/bin/selfheal", "list", "--json", "--store", build + "/known"],
                                 env=runtime.plain_environment(), timeout=60, capture_output=True, check=True).stdout
        self.assertEqual(sum(region["heals"] for region in json.loads(listing)["regions"]), 0)

    def test_the_installed_command_finds_the_installed_library(self):
        maps = self.run_it(self.prefix + "/bin/selfheal", "run", "--", "cat", "/proc/self/maps",
                           SELFHEAL_STORE=os.path.join(self.folder, "store"))
        self.assertIn(self.prefix, maps)
        self.assertIn("libselfheal.so", maps)

    def verify(self, unit, *folders):
        """What systemd-analyze has to say of a unit of Debian's, with the drop-ins of these folders."""
        path = {"SYSTEMD_UNIT_PATH": ":".join([*folders, ""])} if folders else {}  # "": and where they always are
        return subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60,
                              check=False, env={**runtime.plain_environment(), **path}).stderr

    def test_the_drop_ins_for_systemd(self):
        folder = self.prefix + "/share/doc/selfheal/systemd"
        units = [name.removesuffix(".d") for name in sorted(os.listdir(folder))]
        self.assertEqual(units, [name + ".service" for name in ("apache2", "named", "nginx", "redis-server", "ssh")])
        wrong = self.folder + "/wrong"
        for unit in units:
            with open(f"{folder}/{unit}.d/selfheal.conf", encoding="utf-8") as f:
                text = f.read()
            library = re.search("^Environment=LD_PRELOAD=(.*)$", text, re.MULTILINE).group(1)
            self.assertTrue(os.path.exists(library) and library.startswith(self.prefix), library)
            self.assertNotIn("@SELF", text)
            store = re.search("^Environment=SELFHEAL_STORE=/var/lib/(.*)$", text, re.MULTILINE).group(1)
            self.assertIn(f"\nStateDirectory={store}\n", text)
            alone = self.verify(unit)
            self.assertEqual(self.verify(unit, folder), alone)
            # It is read at all: a mistake in it is found.
            os.makedirs(f"{wrong}/{unit}.d")
            with open(f"{wrong}/{unit}.d/selfheal.conf", "w", encoding="utf-8") as f:
                f.write(text.replace("StateDirectory=", "StatDirectory="))
            self.assertIn("Unknown key 'StatDirectory'", self.verify(unit, wrong))

    def test_a_unit_that_maps_only_what_it_lists(self):
        """redis: what is to be mapped as code has to be named (NoExecPaths=/)."""
        with open(self.prefix + "/share/doc/selfheal/systemd/redis-server.service.d/selfheal.conf",
                  encoding="utf-8") as f:
            text = f.read()
        library = re.search("^Environment=LD_PRELOAD=(.*)$", text, re.MULTILINE).group(1)
        self.assertIn(f"\nExecPaths={library}\n", text)


if __name__ == "__main__":
    case.main()
