"""Runs one seeded fault and judges apart what became of it.

    reference   the program alone, without the seeded request: the state and the answers that are right
    alone       the program alone, with it: it dies
    first       under the runtime: it dies the same way, recorded
    second      under the runtime: answered, or not

The verdict is the first of these that applies: not-seeded (it does not die alone), not-recorded, crash, hang, wrong-answer, state, next
(answers afterwards differ), leak (descriptors, threads, heap or the program's own count grow), refused.
"""

import re
import subprocess
from dataclasses import dataclass

from servers import runtime

rounds = 12  # of the seeded request, to see a leak
heap_slack = 256  # bytes: bins of the allocator


@dataclass(frozen=True)
class Verdict:
    outcome: str
    detail: str = ""

    @property
    def refused(self):
        return self.outcome == "refused"


class Run:
    """All requests at once on stdin; the answers by request."""

    def __init__(self, binary, requests, environment, timeout=30):
        self.requests = [line for request in requests for line in request.split("\n")]
        text = "".join(line + "\n" for line in self.requests)
        process = subprocess.Popen([binary], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        try:
            output, _ = process.communicate(text.encode("latin-1"), timeout)
            self.hung = False
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            self.hung = True
        self.status = process.returncode
        self.answers = output.decode("latin-1").split("\n")[:-1]

    @property
    def whole(self):
        return self.status == 0 and len(self.answers) == len(self.requests)


def numbers(text):
    return {key: int(value) for key, value in (pair.split("=") for pair in text.split())}


def leaks(first, last):
    """What grew from one RES answer to a later one."""
    one, two = numbers(first), numbers(last)
    grown = [key for key in one if two[key] > one[key] + (heap_slack if key == "heap" else 0)]
    return ", ".join(f"{key} {one[key]} -> {two[key]}" for key in grown)


@dataclass(frozen=True)
class Case:
    """What the program is asked, and what it says when nobody asks the seeded request."""

    binary: str
    fault: object
    before: list
    last: str  # the seeded request; what leads up to it is part of `before`
    after: list
    right: list  # answers to `after`

    @property
    def rehearsal(self):
        """All of it in one run."""
        return [*self.before, self.last, *self.repeated, *self.after]

    @property
    def repeated(self):
        return [*[self.last] * 3, "RES", *[self.last] * rounds, "RES"]


def assess(case, answers):
    """The verdict on the answers from the seeded request on."""
    said = answers[0] if answers else None
    if not re.fullmatch(case.fault.refusal, said):
        return Verdict("wrong-answer", repr(said))
    if answers[1] != case.right[0]:
        return Verdict("state", f"{answers[1]} and not {case.right[0]}")
    if answers[2:] != case.right[1:]:
        differing = next((a, b) for a, b in zip(answers[2:], case.right[1:]) if a != b)
        return Verdict("next", f"{differing[0]!r} and not {differing[1]!r}")
    return Verdict("refused")


def assess_repeated(answers):
    """The same for those to the seeded request again and again, with RES after the third and at the end."""
    grown = leaks(answers[3], answers[-1])
    return Verdict("leak", grown) if grown else Verdict("refused")


def seed(binary, program, fault, store):
    """The program dies of the fault, recorded in the store: a Case, or the Verdict that it is none."""
    plain = runtime.plain_environment()
    *lead, last = fault.request.split("\n")
    before = [*program.before, *lead]
    after = ["STATE", *program.after, "STATE"]
    reference = Run(binary, [*before, *after], plain)
    if not reference.whole:
        return Verdict("not-seeded", "the reference run fails")
    alone = Run(binary, [*before, last], plain)
    if alone.status is None or alone.status >= 0 or alone.hung:
        return Verdict("not-seeded", f"status {alone.status}, {alone.answers[-1:]}")
    first = Run(binary, [*before, last], store.environment())
    regions = store.regions()
    if first.status != alone.status or len(regions) != 1:
        return Verdict("not-recorded", f"status {first.status} and not {alone.status}, {len(regions)} regions")
    return Case(binary, fault, before, last, after, reference.answers[len(before):])


def judge_healing(case, store, tell=None):
    """What becomes of the request in a process that heals."""
    second = Run(case.binary, [*case.before, case.last, *case.after], store.environment())
    if tell:
        tell(second)
    if second.hung:
        return Verdict("hang")
    answers = second.answers[len(case.before):]
    if not second.whole:
        return Verdict("crash", f"status {second.status} after {answers[:1]}")
    verdict = assess(case, answers)
    if not verdict.refused:
        return verdict
    many = Run(case.binary, [*case.before, *case.repeated], store.environment())
    if not many.whole:
        return Verdict("crash", f"status {many.status} when repeated")
    return assess_repeated(many.answers[len(case.before):])


def judge(binary, program, fault, store, tell=None):
    case = seed(binary, program, fault, store)
    return case if isinstance(case, Verdict) else judge_healing(case, store, tell)
