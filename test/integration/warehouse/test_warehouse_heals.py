"""Every kind of bug in the example server: recorded by its death, healed ever after."""

import threading

from requests import bad, good, order, orders, price_list
from servers import case, client, maps, process, runtime
from servers.warehouse import Warehouse, cut, files_folder, program, restore


class WarehouseHeals(case.Case):
    def setUp(self):
        self.files = files_folder(self.folder)
        self.store_ = self.store()

    def start(self, options="", **more):
        return Warehouse(self.folder, self.store_.environment(options), files=self.files, **more)

    def crash(self, name, **more):
        """One run that ends by the bug, recorded; the file that `bus` cuts is whole again afterwards."""
        request, signal = bad[name]
        with self.start(**more) as server:
            server.fetch(price_list)
            if name == "bus":
                cut(self.files)
            with self.assertRaises(client.Dropped, msg=f"{name} was answered in the first run"):
                server.fetch(request)
            self.assertEqual(server.process.wait(), -signal, name)
        restore(self.files)

    def assert_refused(self, server, name):
        answer = server.fetch(bad[name][0])
        self.assertIn(answer.status, range(400, 600), f"{name}: {answer}")

    def test_what_crashed_once_is_refused_in_the_next_run(self):
        with Warehouse(self.folder, files=self.files) as server:
            reference = [server.fetch(request) for request in good]
        for name in bad:
            with self.subTest(bug=name):
                self.crash(name)
                with self.start() as server:
                    self.assertEqual([server.fetch(request) for request in good], reference)
                    for _ in range(3):
                        if name == "bus":
                            cut(self.files)
                        self.assert_refused(server, name)
                        restore(self.files)
                        self.assertEqual([server.fetch(request) for request in good], reference)
                    self.assertEqual(server.stop(), 0)
        self.assertEqual(len(self.store_.regions()), len(bad), self.store_.cli("list"))

    def test_half_done_work_is_undone_and_the_lock_is_free(self):
        self.crash("wild write")
        with Warehouse(self.folder, files=self.files) as server:
            server.fetch(order)
            reference = server.fetch(orders)
            server.fetch(order)
            reference_after = server.fetch(orders)
        with self.start() as server:
            server.fetch(order)
            self.assert_refused(server, "wild write")
            self.assertEqual(server.fetch(orders), reference)
            self.assert_refused(server, "wild write")
            server.fetch(order)
            self.assertEqual(server.fetch(orders), reference_after)

    def test_a_fault_of_the_unstripped_program_heals_its_stripped_copy(self):
        self.crash("null")
        with self.start(binary=program + "-stripped") as server:
            self.assert_refused(server, "null")
            self.assertEqual(server.stop(), 0)

    def test_a_process_that_runs_already_heals_what_another_one_died_of(self):
        for name in ("null", "divide", "wild write"):
            with self.subTest(bug=name), self.start(name="survivor") as survivor:
                self.crash(name)
                # The news is taken up at a blocking call: a harmless request gives it one.
                process.wait_for(lambda s=survivor: s.fetch("/items").status == 200 and
                                 int(self.store_.cli("list", "--json").count('"id"')) > 0, "the fault is listed")
                for _ in range(8):  # each of the four workers comes by
                    survivor.fetch("/items")
                self.assert_refused(survivor, name)
                self.assertEqual(survivor.fetch("/items/nails").status, 200)
                self.assertEqual(survivor.stop(), 0)
            self.store_.cli("forget", "--all")

    def test_many_threads_heal_at_once(self):
        for name in ("null", "divide", "wild write", "trap"):
            self.crash(name)
        requests = [request for request in good if request.path != "/orders"]
        with self.start() as server:
            reference = {request: server.fetch(request) for request in requests}
            problems = []

            def ask(work, rounds):
                try:
                    for _ in range(rounds):
                        work()
                except BaseException as problem:
                    problems.append(problem)

            def good_ones():
                for request in requests:
                    self.assertEqual(server.fetch(request), reference[request], str(request))

            def bad_ones():
                for name in ("null", "divide", "wild write", "trap"):
                    self.assert_refused(server, name)

            threads = [threading.Thread(target=ask, args=(work, 25)) for work in [good_ones] * 3 + [bad_ones] * 3]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(100)
            self.assertEqual([str(p) for p in problems], [])
            self.assertEqual(server.stop(), 0)

    def test_no_page_is_ever_writable_and_executable(self):
        for name in ("null", "divide"):
            self.crash(name)
        seen, done = [], threading.Event()
        with self.start() as server:
            self.assertTrue(maps.maps_library(server.process.pid))

            def watch():
                while not done.is_set():
                    seen.append(maps.writable_and_executable(server.process.pid))

            watcher = threading.Thread(target=watch)
            watcher.start()
            for _ in range(30):
                self.assert_refused(server, "null")
                self.assert_refused(server, "divide")
            done.set()
            watcher.join()
            self.assertEqual(server.stop(), 0)
        self.assertGreater(len(seen), 5)
        self.assertEqual([bad_maps for bad_maps in seen if bad_maps], [])


class Modes(case.Case):
    def crash(self, options, store):
        with Warehouse(self.folder, store.environment(options)) as server:
            with self.assertRaises(client.Dropped):
                server.fetch(bad["null"][0])
            self.assertEqual(server.process.wait(), -bad["null"][1])

    def test_observe_records_and_never_heals(self):
        store = self.store()
        self.crash("mode=observe", store)
        self.assertEqual(len(store.regions()), 1)
        self.crash("mode=observe", store)
        self.assertEqual(store.regions()[0]["heals"], 0)

    def test_off_neither_records_nor_heals(self):
        store = self.store()
        self.crash("mode=off", store)
        self.crash("", store)
        self.assertEqual(len(store.regions()), 1)
        self.crash("mode=off", store)

    def test_eager_survives_a_first_crash(self):
        store = self.store()
        with Warehouse(self.folder, store.environment("mode=eager")) as server:
            for name in ("null", "divide", "trap"):
                for _ in range(3):
                    self.assertIn(server.fetch(bad[name][0]).status, range(400, 600), name)
                self.assertEqual(server.fetch("/items/nails").status, 200)
            self.assertEqual(server.stop(), 0)
        self.assertEqual(len(store.regions()), 3)

    def test_a_disabled_region_is_left_alone(self):
        store = self.store()
        self.crash("", store)
        region = store.regions()[0]["id"]
        store.cli("disable", region)
        self.crash("", store)
        store.cli("enable", region)
        with Warehouse(self.folder, store.environment()) as server:
            self.assertEqual(server.fetch(bad["null"][0]).status, 404)

    def test_a_forgotten_region_is_learnt_anew(self):
        store = self.store()
        self.crash("", store)
        store.cli("forget", "--all")
        self.assertEqual(store.regions(), [])
        self.crash("", store)
        self.assertEqual(len(store.regions()), 1)


class Supervised(case.Case):
    def test_selfheal_run_restarts_what_crashed_and_the_restarted_one_heals(self):
        store = self.store()
        port = client.free_port()
        environment = {**runtime.plain_environment(), "SELFHEAL_STORE": store.folder,
                       "SELFHEAL_LIBRARY": runtime.library}
        supervisor = process.Process([runtime.command, "run", "--restart", "--", program, "--port", str(port)],
                                     self.folder, "supervised", environment)
        self.addCleanup(supervisor.stop)
        process.wait_for(lambda: client.is_listening(port), "the server listens")
        (first,) = maps.children(supervisor.pid)
        with self.assertRaises(client.Dropped):
            client.fetch(port, bad["null"][0])
        process.wait_for(lambda: maps.children(supervisor.pid) not in ([], [first]) and client.is_listening(port),
                         "the server is restarted")
        (second,) = maps.children(supervisor.pid)
        self.assertEqual(client.fetch(port, bad["null"][0]).status, 404)
        self.assertEqual(maps.children(supervisor.pid), [second])
        self.assertEqual(supervisor.stop(), 0)
        self.assertEqual(maps.mappings(second), [])


if __name__ == "__main__":
    case.main()
