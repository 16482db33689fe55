"""The control: the example server without the runtime. Each bug ends it with its own signal."""

from requests import bad, good, order, orders, price_list
from servers import case, client
from servers.warehouse import Warehouse, cut, files_folder, restore


class WarehouseAlone(case.Case):
    def test_each_bug_ends_the_server_with_its_signal(self):
        files = files_folder(self.folder)
        for name, (request, signal) in bad.items():
            with self.subTest(bug=name), Warehouse(self.folder, files=files) as server:
                server.fetch(price_list)
                if name == "bus":
                    cut(files)
                with self.assertRaises(client.Dropped):
                    server.fetch(request)
                self.assertEqual(server.process.wait(), -signal)
                restore(files)

    def test_it_serves_and_ends_cleanly(self):
        with Warehouse(self.folder, files=files_folder(self.folder)) as server:
            self.assertEqual([server.fetch(r).status for r in good],
                             [200, 200, 200, 404, 200, 404, 200, 500, 200, 404, 200, 400, 409, 405, 200, 404, 200])
            self.assertEqual(server.fetch(order).body, b"order 1\n")
            self.assertIn(b"1 nails 3\n", server.fetch(orders).body)
            self.assertEqual(server.stop(), 0)
            self.assertEqual(server.process.errors(), "")


if __name__ == "__main__":
    case.main()
