"""The test suite's sources, unpacked once from Debian's package gcc-12-source."""

import glob
import os
import shutil
import subprocess
import sys

_archive = "/usr/src/gcc-12/gcc-12*-dfsg.tar.xz"
_wanted = ["*/gcc/testsuite/gcc.target/i386/*", "*/gcc/testsuite/gcc.dg/*", "*/gcc/testsuite/gcc.c-torture/execute/*"]


def unpacked(work):
    """The folder gcc/testsuite below `work`."""
    found = glob.glob(_archive)
    if not found:
        sys.exit("gcc: the package gcc-12-source is missing; run scripts/dependencies test")
    version = os.path.basename(found[0]).removesuffix(".tar.xz")
    target = os.path.join(work, version)
    if not os.path.exists(target):
        partial = f"{target}.{os.getpid()}"
        os.makedirs(partial)
        subprocess.run(["tar", "--extract", "--xz", "--file", found[0], "--directory", partial,
                        "--strip-components=1", "--wildcards", *_wanted], check=True)
        try:
            os.rename(partial, target)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
    return os.path.join(target, "gcc", "testsuite")
