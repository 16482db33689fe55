"""Builds a case, once: the program's name holds a hash of what it is made of."""

import hashlib
import os
import shutil
import subprocess

compiler = "gcc-12"
_launcher = [shutil.which("ccache")] if shutil.which("ccache") else []


def program(case, testsuite, work):
    """Path of the case's program; None when it does not build here."""
    source_folder = os.path.join(testsuite, "gcc.target", "i386")
    sources = [os.path.join(source_folder, s) for s in case.sources]
    folder = os.path.join(work, "programs")
    path = os.path.join(folder, f"{case.name.removesuffix('.c')}.{_key(case, sources)}")
    if os.path.exists(path):
        return path
    if os.path.exists(path + ".failed"):
        return None
    os.makedirs(folder, exist_ok=True)
    objects = [f"{path}.{i}.o" for i in range(len(sources))]
    built = all(_run([*_launcher, compiler, "-w", *case.options, "-c", source, "-o", out])
                for source, out in zip(sources, objects))
    # A partial link result must never be taken for a program by the next run.
    built = built and _run([compiler, "-w", *case.options, *objects, "-lm", "-o", path + ".new"])
    for name in objects:
        if os.path.exists(name):
            os.remove(name)
    if not built:
        with open(path + ".failed", "w", encoding="ascii"):
            return None
    os.rename(path + ".new", path)
    return path


def _key(case, sources):
    digest = hashlib.sha256(" ".join([compiler, *case.options]).encode())
    for source in sources:
        with open(source, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:12]


def _run(command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
                              check=False, cwd="/tmp").returncode == 0
    except subprocess.TimeoutExpired:
        return False
