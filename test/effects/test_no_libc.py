#!/usr/bin/env python3
"""The parts that run while the guest's vector registers are live must not call libc on their own: a
compiler that turns a loop or an assignment into memcpy() would clobber them, and only sometimes.

usage: test_no_libc.py ARCHIVE [OBJECT ...]   the objects named may: they run when nothing is live"""
import re
import subprocess
import sys

# libgcc's integer helpers use general registers only.
allowed_prefixes = ("_ZN8selfheal", "selfheal_", "_GLOBAL_OFFSET_TABLE_", "Zydis", "__popcountdi2")

archive, excepted = sys.argv[1], sys.argv[2:]
listing = subprocess.run(["nm", "-A", "--undefined-only", "--format=posix", archive],
                         check=True, capture_output=True, text=True).stdout
uses = re.findall(r"\[(.*?)\]: (\S+) U", listing)
foreign = sorted(f"{name} in {part}" for part, name in uses
                 if part not in excepted and not name.startswith(allowed_prefixes) and "selfheal" not in name)
if not uses:
    sys.exit(f"nm finds no undefined symbols at all in {archive}: not what this test expects")
if foreign:
    sys.exit("calls to code that may use vector registers: " + ", ".join(foreign))
