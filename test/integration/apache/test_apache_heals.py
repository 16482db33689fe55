"""The main job on stock httpd: what kills a worker in the first run gets an error answer in the second."""

import os
import threading

from requests import bad, good, plain
from servers import case, client, maps, process
from stock.apache import Apache

module = os.environ["SELFHEAL_MOD_FRAGILE"]


class ApacheHeals(case.Case):
    def run_once(self, server, environment, check):
        server.start(environment)
        try:
            check()
        finally:
            server.stop()

    def crash_with_each(self, server):
        """Run 1: every bad request, each answered by the death of a worker; every worker starts afresh."""
        for number, (request, signal) in enumerate(bad, 1):
            server.settled()
            with self.assertRaises(client.Dropped, msg=f"{request} was answered in the first run"):
                server.fetch(request)
            process.wait_for(lambda n=number: len(server.crashes()) >= n, f"httpd reports the crash of {request}")
            self.assertEqual(server.crashes()[-1][1], signal, f"signal for {request}")
        self.assertEqual(len(server.crashes()), len(bad))

    def assert_same(self, request, answer, reference, when):
        self.assertEqual(answer, reference, f"{request} {when}:\n  got  {answer}\n  want {reference}")

    def round(self, server, reference=None, when=""):
        answers = [server.fetch(request) for request in good]
        for request, answer, wanted in zip(good, answers, reference or answers):
            self.assert_same(request, answer, wanted, when)
        return answers

    def test_what_crashed_once_is_answered_with_an_error_in_the_next_run(self):
        server = Apache(self.folder, {"fragile": module})
        store = self.store()
        reference = []
        self.run_once(server, None, lambda: reference.extend(self.round(server) for _ in range(len(bad) + 1)))

        self.run_once(server, store.environment(), lambda: self.crash_with_each(server))
        self.assertEqual(len(store.regions()), len(bad), store.cli("list"))

        def second_run():
            workers = server.workers()
            self.assertTrue(all(maps.maps_library(pid) for pid in workers), "the runtime is not in the workers")
            self.round(server, reference[0], "before any bad request")
            for (request, _), wanted in zip(bad, reference[1:]):
                answer = server.fetch(request)
                self.assertGreaterEqual(answer.status, 400, f"{request}: {answer}")
                self.assertEqual(server.workers(), workers, f"{request} killed a worker")
                self.round(server, wanted, f"after {request}")
            self.assertEqual(server.crashes(), [])

        self.run_once(server, store.environment(), second_run)
        for region in store.regions():
            self.assertGreaterEqual(region["heals"], 1, region)

    def test_bad_and_good_requests_at_the_same_time(self):
        server = Apache(self.folder, {"fragile": module}, children=2, threads=8)
        store = self.store()
        reference = {}
        self.run_once(server, None, lambda: reference.update((request, server.fetch(request)) for request in plain))
        self.run_once(server, store.environment(), lambda: self.crash_with_each(server))

        problems = []

        def ask(requests, check, rounds):
            try:
                for _ in range(rounds):
                    for request in requests:
                        check(request, server.fetch(request))
            except BaseException as problem:  # an assertion, too, has to reach the main thread
                problems.append(problem)

        def same(request, answer):
            self.assert_same(request, answer, reference[request], "amid bad requests")

        def refused(request, answer):
            self.assertGreaterEqual(answer.status, 400, f"{request}: {answer}")

        def second_run():
            workers = server.workers()
            clients = [threading.Thread(target=ask, args=(plain, same, 12)) for _ in range(4)]
            clients += [threading.Thread(target=ask, args=([request for request, _ in bad], refused, 20))
                        for _ in range(3)]
            for thread in clients:
                thread.start()
            for thread in clients:
                thread.join(120)
            self.assertEqual([str(p) for p in problems], [])
            self.assertEqual(server.workers(), workers)
            self.assertEqual(server.crashes(), [])

        self.run_once(server, store.environment(), second_run)

    def test_workers_that_live_on_heal_without_a_restart(self):
        server = Apache(self.folder, {"fragile": module}, children=2, threads=4)
        request = bad[0][0]
        server.start(self.store().environment())
        self.addCleanup(server.stop)
        with self.assertRaises(client.Dropped):
            server.fetch(request)
        process.wait_for(lambda: len(server.crashes()) == 1, "httpd reports the crash")
        server.settled()

        def all_heal():
            """Until every child has come across the news; a child may wait in its poll until a request wakes it."""
            for _ in range(8):
                server.fetch("/small.txt")
            return all(self.answers_with_error(server, request) for _ in range(8))

        process.wait_for(all_heal, "both workers heal", seconds=10)
        workers = server.workers()
        for _ in range(20):
            self.assertGreaterEqual(server.fetch(request).status, 400)
        self.assertEqual(server.workers(), workers)

    def answers_with_error(self, server, request):
        try:
            return server.fetch(request).status >= 400
        except client.Dropped:
            server.settled()
            return False


if __name__ == "__main__":
    case.main()
