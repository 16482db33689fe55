"""A question to a server, and its one right answer."""

from dataclasses import dataclass
from typing import Any, Callable


@dataclass(frozen=True)
class Question:
    name: str
    ask: Callable[[], Any]  # returns the whole answer, as far as it is the same each time
    right: Any
    view: Callable[[Any], Any] = lambda answer: answer  # the part of the answer that `right` is

    def __str__(self):
        return self.name


class Wrong(AssertionError):
    pass


def put(questions, reference=None):
    """Asks all in order; returns the whole answers. They must be right, and the same as `reference`."""
    answers = []
    for number, question in enumerate(questions):
        answer = question.ask()
        seen = question.view(answer)
        if seen != question.right:
            raise Wrong(f"{question}:\n  got  {_short(seen)}\n  want {_short(question.right)}")
        if reference and answer != reference[number]:
            raise Wrong(f"{question}: right, but not as in the reference run:\n"
                        f"  got  {_short(answer)}\n  want {_short(reference[number])}")
        answers.append(answer)
    return answers


def _short(value):
    text = repr(value)
    return text if len(text) < 2000 else text[:1000] + " ... " + text[-900:]
