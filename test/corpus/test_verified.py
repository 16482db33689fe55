"""`selfheal verify` picks a candidate that heals right wherever one does: the known misses of a build, and a sample of the others.

The sample is of CORPUS_SAMPLE faults (12), by the seed CORPUS_SEED (printed); `verified.py` takes them all.
"""

import os
import random
import unittest

import verified
from faults import programs
from test_corpus import known_misses

build = os.environ["SELFHEAL_CORPUS_BUILD"]
seed = int(os.environ.get("CORPUS_SEED", random.randrange(1_000_000)))
sample = int(os.environ.get("CORPUS_SAMPLE", "12"))


class VerifiedCorpus(unittest.TestCase):
    def test_verify_picks_the_right_candidate(self):
        misses = known_misses()
        others = [str(fault) for program in programs for fault in program.faults if str(fault) not in misses]
        wanted = {*misses, *random.Random(seed).sample(others, sample)}
        results = verified.run(build, lambda fault: str(fault) in wanted)
        print(f"seed {seed}\n" + "\n".join(verified.line(fault, one) for fault, one in results.items()), flush=True)
        self.assertEqual(len(results), len(wanted))
        wrong = [verified.line(fault, one) for fault, one in results.items() if one is None or not one.right]
        self.assertEqual(wrong, [], f"seed {seed}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
