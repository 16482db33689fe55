"""The corpus holds what it reached: a floor on the faults refused right, and each miss is one that is explained.

misses.txt has a line for each known miss: build, fault, outcome, cause. A miss that is not there fails the test; one there that is none any more is named.
"""

import os
import unittest

import corpus

build = os.environ["SELFHEAL_CORPUS_BUILD"]


def known_misses():
    with open(os.path.join(os.path.dirname(__file__), "misses.txt"), encoding="utf-8") as file:
        rows = [[cell.strip() for cell in line.split("|")] for line in file if line.strip() and not line.startswith("#")]
    return {fault: outcome.split() for builds, fault, outcome, _ in rows if build in builds.split() or builds == "all"}


class Corpus(unittest.TestCase):
    def test_faults_are_refused_as_the_program_itself_refuses(self):
        verdicts = corpus.run(build)
        print(f"{build}\n{corpus.table(verdicts)}\n{build}: {corpus.summary(verdicts)}", flush=True)
        misses = {str(fault): verdict.outcome for fault, verdict in verdicts.items() if not verdict.refused}
        known = known_misses()
        self.assertGreaterEqual(len(verdicts), 60)
        self.assertEqual({m: o for m, o in misses.items() if o not in known.get(m, [])}, {}, "new misses")
        for fault in sorted(k for k in known if k not in misses):
            print(f"{fault} is no miss any more: take it out of misses.txt")


if __name__ == "__main__":
    unittest.main(verbosity=2)
