"""Stock servers whose functions are watched, in good and in bad traffic: their answers are what they are otherwise.

    python3 test_learning.py Learning.test_redis
"""

import json

from servers import case
from stock.all import servers
from stock.question import put


class Learning(case.Case):
    def mark(self, store, *arguments):
        return json.loads(store.cli("learn", "--json", "--mark", *arguments))

    def check(self, server, good, bad, rounds=20):
        store = self.store()
        server.start(None)
        try:
            reference = put(server.workload())
        finally:
            status = server.stop()
        self.mark(store, "good", "--all")
        server.start(store.environment("report=never:learn=on"))
        try:
            put(server.workload(), reference)
            expected = good()
            for _ in range(rounds):
                self.assertEqual(good(), expected)
            self.mark(store, "bad")
            good()  # somebody is back at a blocking call, and has seen the mark
            expected = bad()
            for _ in range(rounds):
                self.assertEqual(bad(), expected)
            seen = self.mark(store, "off")
            put(server.workload(), reference)
        finally:
            self.assertEqual(server.stop(), status)
        self.assertEqual(store.regions(), [], "nothing was to be recorded")
        calls = sum(value["good"] for one in seen["watched"] for value in one["values"])
        self.assertGreater(calls, 100, "functions were watched")

    def test_redis(self):
        server = servers["redis"](self.folder)
        self.check(server, lambda: server.call("SET", "number", "7") and server.call("STRLEN", "number"),
                   lambda: server.call("INCRBY", "number", "no number"))

    def test_nginx(self):
        server = servers["nginx"](self.folder)
        self.check(server, lambda: server.workload()[0].ask(), lambda: server.workload()[-1].ask())


if __name__ == "__main__":
    case.main()
