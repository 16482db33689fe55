"""Files of one's own in the place of the system's, for one program and what it starts.

A mount namespace: `unshare -m` and bind mounts. Nothing on the machine changes, and nothing has to be
taken back: the namespace ends with its last process. Needs root.
"""

import os
import shlex

runtime_names = ("LD_PRELOAD", "SELFHEAL_STORE", "SELFHEAL_OPTIONS", "SELFHEAL_STDERR", "LD_LIBRARY_PATH")


def namespace(command, environment, binds=(), folders=()):
    """Arguments and environment that run `command` with `binds`, pairs (own file, the system's path), and with
    an empty folder in the place of each of `folders`, which `NAME/SUB` makes a sub-folder of.

    What concerns the runtime, and where libraries are found, is given to the program alone, not to the shell and mount before it.
    """
    steps = ["set -e"]
    for folder in folders:
        base, _, sub = folder.partition("//")
        steps.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(base)}")
        if sub:
            steps.append(f"mkdir {shlex.quote(os.path.join(base, sub))}")
    steps += [f"mount --bind {shlex.quote(own)} {shlex.quote(theirs)}" for own, theirs in binds]
    given = {k: v for k, v in environment.items() if k in runtime_names}
    steps.append("exec env " + " ".join(shlex.quote(f"{k}={v}") for k, v in given.items()) + ' "$@"')
    around = {k: v for k, v in environment.items() if k not in runtime_names}
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", "\n".join(steps), "sh", *command], around
