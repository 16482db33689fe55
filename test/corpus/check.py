"""`selfheal verify --check`'s command: is what the program answered to a case's rehearsal as it should be?

    check.py CASE        a pickled judge.Case; the answers are in the file $SELFHEAL_ANSWER
"""

import os
import pickle
import sys

from judge import assess, assess_repeated


def main():
    with open(sys.argv[1], "rb") as file:
        case = pickle.load(file)
    with open(os.environ["SELFHEAL_ANSWER"], encoding="latin-1", newline="") as file:
        answers = file.read().split("\n")[:-1]
    if len(answers) != len(case.rehearsal):
        print(f"{len(answers)} answers to {len(case.rehearsal)} requests")
        return 1
    seeded = len(case.before)
    after = len(answers) - len(case.after)
    verdict = assess(case, [answers[seeded], *answers[after:]])
    if verdict.refused:
        verdict = assess_repeated(answers[seeded + 1:after])
    print(verdict.outcome, verdict.detail)
    return 0 if verdict.refused else 1


if __name__ == "__main__":
    sys.exit(main())
