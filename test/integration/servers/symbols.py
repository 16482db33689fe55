"""What a program's own symbol table calls its code."""

import bisect
import functools
import subprocess


@functools.lru_cache(maxsize=None)
def _table(program):
    listing = subprocess.run(["nm", "--defined-only", program], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listing.splitlines())
    return sorted((int(row[0], 16), row[2]) for row in rows if len(row) == 3 and row[1] in "tTwW")


def name_at(program, offset):
    """Name of the function, or of its split-off part, that holds the address `offset` ("0x12ab")."""
    table = _table(program)
    index = bisect.bisect_right(table, (int(offset, 16), "\x7f")) - 1
    return table[index][1]
