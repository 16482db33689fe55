"""The control: stock httpd with mod_fragile and without the runtime. The bugs are real, the rest works."""

import os

from requests import bad, good
from servers import case, client, process
from stock.apache import Apache


class ApacheAlone(case.Case):
    def setUp(self):
        self.server = Apache(self.folder, {"fragile": os.environ["SELFHEAL_MOD_FRAGILE"]})
        self.addCleanup(self.server.stop)
        self.server.start()

    def test_each_bad_request_kills_a_worker(self):
        for number, (request, signal) in enumerate(bad, 1):
            with self.subTest(request=str(request)):
                self.server.settled()
                with self.assertRaises(client.Dropped):
                    self.server.fetch(request)
                process.wait_for(lambda n=number: len(self.server.crashes()) == n, "httpd reports the crash")
                self.assertEqual(self.server.crashes()[-1][1], signal)

    def test_good_requests_are_answered_and_show_what_votes_change(self):
        answers = [self.server.fetch(request) for request in good]
        self.assertEqual([a.status for a in answers],
                         [200, 200, 200, 200, 206, 304, 404, 200, 200, 404, 200, 404, 404, 200, 404, 200, 200, 200])
        self.assertIn(b"votes cast: 2\nminutes: clara,ada,\nballot: ada in 0\nballot: clara in 2\n", answers[-1].body)


if __name__ == "__main__":
    case.main()
