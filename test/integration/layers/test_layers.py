"""Holds the layers of docs/conventions.md: a file includes only from the layers below its own.

The table is read out of the page itself, so that the page cannot drift from what is held.
"""

import os
import re
import unittest

root = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
page = os.path.join(root, "docs/conventions.md")
part_pattern = r"(?:lib/\w+|emulator|probes|cli)"


def layers():
    """Part -> number of its layer, the lowest being 0."""
    with open(page, encoding="utf-8") as f:
        block = re.search(r"\*\*Layers\.\*\*.*?```\n(.*?)```", f.read(), re.S).group(1)
    found = {}
    number = 0
    for line in block.splitlines():
        # The parts stand to the left, what they are about follows after two or more blanks.
        parts = re.match(rf"\s*({part_pattern}(?:\s+{part_pattern})*)(?:\s|$)", line)
        if parts:
            found.update({part: number for part in re.findall(part_pattern, parts.group(1))})
            number += 1
    return found


def part_of(path):
    match = re.match(part_pattern, path)
    return match.group(0) if match else None


def includes():
    """(file, line number, included path) of each include of ours."""
    for top in ("lib", "emulator", "probes", "cli", "include"):
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in files:
                if not name.endswith((".h", ".cpp", ".c", ".S", ".inc")):
                    continue
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as f:
                    for number, line in enumerate(f, 1):
                        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                        if match:
                            yield os.path.relpath(path, root), number, match.group(1)


class Layers(unittest.TestCase):
    def setUp(self):
        self.layer = layers()

    def test_the_page_has_a_table(self):
        self.assertEqual(self.layer["lib/base"], 0)
        self.assertGreaterEqual(len(self.layer), 9)
        self.assertEqual(max(self.layer, key=self.layer.get), "cli")

    def test_every_folder_has_a_layer(self):
        for name in os.listdir(os.path.join(root, "lib")):
            if os.path.isdir(os.path.join(root, "lib", name)):
                self.assertIn(f"lib/{name}", self.layer)

    def test_files_include_only_from_layers_below(self):
        seen = 0
        for path, number, target in includes():
            source, wanted = part_of(path), part_of(target)
            if wanted is None or source == wanted:
                continue
            seen += 1
            with self.subTest(file=f"{path}:{number}"):
                self.assertIsNotNone(source, f"{path} is public and must not include {target}")
                self.assertLess(self.layer[wanted], self.layer[source], f"{path} includes {target}")
        self.assertGreater(seen, 0)

    def test_the_command_reads_neither_engine_nor_probes(self):
        for path, number, target in includes():
            if part_of(path) == "cli":
                self.assertNotIn(part_of(target), ("emulator", "probes"), f"{path}:{number}")

    def test_includes_are_from_the_root(self):
        for path, number, target in includes():
            with self.subTest(file=f"{path}:{number}"):
                self.assertTrue(os.path.exists(os.path.join(root, target)) or
                                os.path.exists(os.path.join(root, "include", target)) or
                                not os.path.exists(os.path.join(root, os.path.dirname(path), target)),
                                f"{target} is relative to its own folder")


if __name__ == "__main__":
    unittest.main(verbosity=2)
