"""What README asks a stranger to type exists, explains itself and fails with a line that helps."""

import os
import re
import subprocess
import unittest

root = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))


def run(*command, **environment):
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, **environment})


class Scripts(unittest.TestCase):
    def test_the_commands_of_the_readme_can_be_run(self):
        with open(os.path.join(root, "README.md"), encoding="utf-8") as f:
            commands = set(re.findall(r"^\s*(scripts/\w+)", f.read(), re.M))
        self.assertLessEqual({"scripts/demo", "scripts/test"}, commands)
        for command in commands:
            self.assertTrue(os.access(os.path.join(root, command), os.X_OK), command)

    def test_links_of_the_readme_lead_somewhere(self):
        with open(os.path.join(root, "README.md"), encoding="utf-8") as f:
            links = re.findall(r"\]\(([^)#:]+)\)", f.read())
        for link in links:
            self.assertTrue(os.path.exists(os.path.join(root, link)), link)

    def test_shell_scripts_parse(self):
        for script in ("scripts/demo", "scripts/test", "scripts/dependencies", ".ci/run"):
            self.assertEqual(run("bash", "-n", script).returncode, 0, script)

    def test_dependencies_are_listed_by_group(self):
        everything = run("scripts/dependencies", "--list").stdout.split()
        groups = [run("scripts/dependencies", "--list", group).stdout.split() for group in ("build", "test", "demo")]
        self.assertEqual(sorted(everything), sorted({name for group in groups for name in group}))
        for name in ("libzydis-dev", "catch2", "wrk"):
            self.assertIn(name, everything)

    def test_an_unknown_group_is_named(self):
        result = run("scripts/dependencies", "bulid")
        self.assertEqual(result.returncode, 2)
        self.assertIn("'bulid'", result.stderr)

    def test_without_apt_it_says_what_to_install(self):
        # A PATH with what the script itself needs, and no dpkg-query or apt-get.
        tools = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"selfheal-tools-{os.getpid()}")
        os.makedirs(tools)
        try:
            for tool in ("bash", "env", "sort", "sed", "id", "dirname"):
                os.symlink(f"/usr/bin/{tool}", os.path.join(tools, tool))
            result = subprocess.run(["/bin/bash", "scripts/dependencies", "build"], cwd=root, capture_output=True,
                                    text=True, timeout=60, check=False, env={"PATH": tools})
            self.assertEqual(result.returncode, 1)
            self.assertIn("not a Debian system", result.stderr)
            self.assertIn("libzydis-dev", result.stderr)
        finally:
            for tool in os.listdir(tools):
                os.unlink(os.path.join(tools, tool))
            os.rmdir(tools)


if __name__ == "__main__":
    unittest.main(verbosity=2)
