"""What libselfheal.so shows to the process it is loaded into: names, needs, and how it is linked."""

import os
import re
import subprocess
import unittest

from servers import runtime

here = os.path.dirname(os.path.abspath(__file__))


def readelf(*options):
    return subprocess.run(["readelf", "--wide", *options, runtime.library], env={**os.environ, "LC_ALL": "C"},
                          capture_output=True, text=True, check=True).stdout


def allowed():
    with open(os.path.join(here, "exports.txt"), encoding="utf-8") as f:
        return {line.strip() for line in f if line.strip() and not line.startswith("#")}


def exported():
    """Names a program could bind to: defined, global or weak, default visibility."""
    names = set()
    for line in readelf("--dyn-syms").splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[4] in ("GLOBAL", "WEAK", "UNIQUE", "IFUNC") and fields[6] != "UND" \
                and fields[5] == "DEFAULT":
            names.add(fields[7].split("@")[0])
    return names


def functions():
    """Exported functions and their addresses."""
    lines = (line.split() for line in readelf("--dyn-syms").splitlines())
    return {f[7].split("@")[0]: int(f[1], 16) for f in lines if len(f) >= 8 and f[3] == "FUNC" and f[6] != "UND"}


class Library(unittest.TestCase):
    def test_it_exports_what_it_must_and_nothing_else(self):
        names = {n for n in exported() if not n.startswith("SELFHEAL_")}  # version nodes
        self.assertEqual(sorted(names - allowed()), [], "exported, but not in exports.txt")
        self.assertEqual(sorted(allowed() - names), [], "in exports.txt, but not exported")

    def test_it_needs_libc_and_libzydis_only(self):
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic")))
        self.assertLessEqual(needed, {"libZydis.so.4.0", "libc.so.6", "ld-linux-x86-64.so.2"})

    def test_it_binds_now_stays_loaded_and_starts_first(self):
        flags = readelf("--dynamic")
        for flag in ("NOW", "NODELETE", "INITFIRST"):
            self.assertRegex(flags, rf"\bFlags:.*\b{flag}\b")

    def test_its_segments_are_never_writable_and_executable(self):
        headers = readelf("--segments")
        self.assertNotRegex(headers, r"(LOAD|GNU_STACK)\s.*\sRWE\s")
        self.assertIn("GNU_RELRO", headers)
        self.assertNotIn("TEXTREL", readelf("--dynamic"))

    def test_what_stands_in_front_of_libc_can_be_interpreted(self):
        """See lib/runtime/sections.ld: what the kernel fills through them must be in the undo log."""
        section = re.search(r"\] \.text\.interpreted\s+PROGBITS\s+([0-9a-f]+)\s+\S+\s+([0-9a-f]+)", readelf("--sections"))
        begin = int(section[1], 16)
        end = begin + int(section[2], 16)
        for name, address in functions().items():
            with self.subTest(name=name):
                self.assertEqual(begin <= address < end, not name.startswith("selfheal_") or name == "selfheal_rescue")

    def test_its_thread_local_state_needs_no_call(self):
        """Initial-exec only: __tls_get_addr may allocate, which a signal handler must not."""
        self.assertNotIn("__tls_get_addr", readelf("--dyn-syms"))

    def test_it_uses_no_exceptions_of_a_shared_runtime(self):
        undefined = {line.split()[7] for line in readelf("--dyn-syms").splitlines()
                     if len(line.split()) >= 8 and line.split()[6] == "UND"}
        self.assertEqual([n for n in undefined if n.startswith(("_Z", "__cxa_throw", "_Unwind_", "unw_"))], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
