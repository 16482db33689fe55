#!/usr/bin/env python3
"""The parts that run while the guest's vector registers are live must not call libc on their own: a
compiler that turns a loop into memcpy() would clobber them, and only sometimes."""
import subprocess
import sys

allowed_prefixes = ("_ZN8selfheal", "selfheal_", "_GLOBAL_OFFSET_TABLE_")

listing = subprocess.run(["nm", "--undefined-only", "--format=posix", sys.argv[1]],
                         check=True, capture_output=True, text=True).stdout
symbols = {line.split()[0] for line in listing.splitlines() if " U" in line}
foreign = sorted(s for s in symbols if not s.startswith(allowed_prefixes) and "selfheal" not in s)
if not symbols:
    sys.exit(f"nm finds no undefined symbols at all in {sys.argv[1]}: not what this test expects")
if foreign:
    sys.exit("calls to code that may use vector registers: " + ", ".join(foreign))
