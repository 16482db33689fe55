#!/usr/bin/env python3
"""Runs a program that may never have code it wrote itself, or as a unit of systemd's confines it:
restricted.py mdwe|seccomp|unit:NAME NAME=VALUE... PROGRAM ARGUMENT...

mdwe     prctl(PR_SET_MDWE) of Linux 6.3
seccomp  what systemd makes of MemoryDenyWriteExecute=yes (src/shared/seccomp-util.c, seccomp_memory_deny_write_execute):
         mmap with PROT_WRITE and PROT_EXEC, mprotect and pkey_mprotect with PROT_EXEC, and shmat with SHM_EXEC fail
         with EPERM. Written down again here, as there is no systemd to run.
unit     the same, and the unit's SystemCallFilter=: a call that is not listed kills the process. The sets (@...) are
         as `systemd-analyze syscall-filter` has them.

Assignments before the program go into its environment, and not into this one's.
"""

import ctypes
import errno
import os
import re
import struct
import subprocess
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 22, 38, 65
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
AUDIT_ARCH_X86_64 = 0xC000003E
LOAD, JUMP_EQUAL, JUMP_SET, RETURN, AND = 0x20, 0x15, 0x45, 0x06, 0x54

mmap, mprotect, shmat, pkey_mprotect = 9, 10, 30, 329
write, execute, shm_exec = 2, 4, 0o100000


def argument(number):
    return 16 + 8 * number  # struct seccomp_data, low half


def rule(system_call, number, bits):
    """EPERM if all `bits` are set in the argument; on to the next rule if it is another call."""
    return [(LOAD, 0, 0, 0), (JUMP_EQUAL, 0, 4, system_call), (LOAD, 0, 0, argument(number)), (AND, 0, 0, bits),
            (JUMP_EQUAL, 0, 1, bits), (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EPERM)]


def program():
    code = [(LOAD, 0, 0, 4), (JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64), (RETURN, 0, 0, SECCOMP_RET_ALLOW)]
    for call in ((mmap, 2, write | execute), (mprotect, 2, execute), (pkey_mprotect, 2, execute), (shmat, 2, shm_exec)):
        code += rule(*call)
    return code + [(RETURN, 0, 0, SECCOMP_RET_ALLOW)]


def call_numbers():
    with open("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", encoding="ascii") as f:
        return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", f.read())}


def calls_of(names, numbers):
    """The calls that a list of names and @sets stands for."""
    found = set()
    for name in names:
        if name.startswith("@"):
            members = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True,
                                     check=True).stdout.splitlines()[1:]
            found |= calls_of([m.strip() for m in members if m.strip() and not m.strip().startswith("#")], numbers)
        elif name in numbers:  # of another architecture
            found.add(numbers[name])
    return found


def unit_program(unit):
    with open(f"/lib/systemd/system/{unit}.service", encoding="utf-8") as f:
        filters = re.findall(r"^SystemCallFilter=(~?)(.*)$", f.read(), re.MULTILINE)
    numbers = call_numbers()
    allowed = set()
    for without, names in filters:
        calls = calls_of(names.split(), numbers)
        allowed = allowed - calls if without else allowed | calls
    code = [(LOAD, 0, 0, 4), (JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64), (RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS),
            (LOAD, 0, 0, 0)]
    for call in sorted(allowed):
        code += [(JUMP_EQUAL, 0, 1, call), (RETURN, 0, 0, SECCOMP_RET_ALLOW)]
    return code + [(RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS)]


def control(*arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(*(ctypes.c_ulong(a) for a in arguments)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {arguments[0]}")


def install_filter(code):
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *i) for i in code))
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(instructions)))
    control(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    control(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header), 0, 0)


def main():
    way, *rest = sys.argv[1:]
    environment = dict(os.environ)
    while rest and "=" in rest[0]:
        name, _, value = rest.pop(0).partition("=")
        environment[name] = value
    if way == "mdwe":
        control(PR_SET_MDWE, 1, 0, 0, 0)
    elif way == "seccomp":
        install_filter(program())
    elif way.startswith("unit:"):
        code = unit_program(way.removeprefix("unit:"))
        install_filter(program())
        install_filter(code)
    else:
        raise SystemExit(__doc__)
    os.execvpe(rest[0], rest, environment)


if __name__ == "__main__":
    main()
