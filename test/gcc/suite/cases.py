"""The `dg-do run` tests of gcc.target/i386: what each needs, and how it is built."""

import dataclasses
import os

from . import directives, isa

folder = "gcc.target/i386"

# What DejaGnu's own options are for: looking into the compiler's intermediate files.
_unwanted = ("-save-temps", "-fdump-", "-dp", "-dA")


@dataclasses.dataclass
class Case:
    name: str
    options: list
    sources: list
    features: set
    not_here: str = ""  # why it is not for x86-64 at all

    @property
    def family(self):
        return isa.family(self.features)


def _has_target(name, features):
    if isa.is_feature(name):
        features.add(name)  # whether the machine has it is asked later
        return True
    return name not in directives.false_targets


def parse(name, source):
    """The case in this file, or None when it is no run test."""
    features, options, extra, sources = set(), [], [], [name]
    not_here, runs = "", False

    def selected(arguments):
        kind, _, selector = arguments[-1].strip().partition(" ") if arguments else ("", "", "")
        return kind != "target" or directives.selects(selector, lambda target: _has_target(target, set()))

    for directive, arguments in directives.directives(source):
        if directive == "do":
            if arguments[0] != "run":
                continue
            runs = True
            kind, _, selector = arguments[1].strip().partition(" ") if len(arguments) > 1 else ("", "", "")
            if kind == "target" and not directives.selects(selector, lambda t: _has_target(t, features)):
                not_here = "target " + selector
        elif directive == "options" and selected(arguments[1:]):
            options = arguments[0].split()
        elif directive == "additional-options" and selected(arguments[1:]):
            extra += arguments[0].split()
        elif directive == "additional-sources":
            sources += arguments[0].split()
        elif directive == "require-effective-target" and selected(arguments[1:]):
            if not _has_target(arguments[0], features):
                not_here = arguments[0]
    if not runs:
        return None
    options = [o for o in options + extra if not o.startswith(_unwanted)]
    features |= {f for f in map(isa.of_option, options) if f}
    return Case(name, options, sources, features, not_here)


def all_cases(testsuite):
    path = os.path.join(testsuite, folder)
    for name in sorted(os.listdir(path)):
        if name.endswith(".c"):
            with open(os.path.join(path, name), encoding="latin-1") as file:
                source = file.read()
            if "dg-do run" in source:
                case = parse(name, source)
                if case is not None:
                    yield case
