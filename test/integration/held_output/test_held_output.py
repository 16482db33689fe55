"""hold-output: what a region has written to a connection goes out when it ends, or is taken back with the rest."""

import os
import signal

from servers import case, faulty

program = os.environ["SELFHEAL_HALF_ANSWER"]


class HeldOutput(faulty.FaultyCase):
    def setUp(self):
        self.assertEqual(self.alone([program, "missing"]).returncode, -signal.SIGSEGV)
        self.assertEqual(self.start([program, "missing"]).returncode, -signal.SIGSEGV)
        self.assertEqual(len(self.store().regions()), 1)

    def got(self, options, *requests):
        run = self.start([program, *requests], options)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return run.stdout

    def irrevocable_calls(self):
        return self.only_region()["last_heal"]["irrevocable_calls"]

    def test_without_it_half_an_answer_is_followed_by_an_error_page(self):
        self.assertEqual(self.got("", "missing"), "200 OK\n500 error\n")
        self.assertEqual(self.irrevocable_calls(), ["write"])

    def test_half_an_answer_is_taken_back(self):
        self.assertEqual(self.got("hold-output=1", "missing"), "500 error\n")
        self.assertEqual(self.irrevocable_calls(), [])

    def test_a_whole_answer_arrives(self):
        self.assertEqual(self.got("hold-output=1", "page"), "200 OK\npage")

    def test_what_the_client_was_told_before_it_was_waited_for_stays_told(self):
        self.assertEqual(self.got("hold-output=1", "question", "missing"), "200 OK\n500 error\n")
        self.assertIn("sendto", self.irrevocable_calls())


if __name__ == "__main__":
    case.main()
