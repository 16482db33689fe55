"""Rescue points: which function fails in place of the faulting one, and what it returns, is moved until heals stick."""

import json
import os
import signal
import subprocess

from servers import case

program = os.environ["SELFHEAL_PROGRAM"]
# A heal that leads to another fault is the end of the process.
options = "report=never:heals-per-minute=0:hang-seconds=0:escalate=no"
inside_out = options + ":weigh-levels=no"  # begins with the faulting function, whatever that knows


class Server:
    """The program under test, asked a line at a time: an answer, or None when it is gone."""

    def __init__(self, store, *arguments, options=inside_out):
        self.process = subprocess.Popen([program, *arguments], env=store.environment(options), text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(self, request):
        try:
            self.process.stdin.write(request + "\n")
            return self.process.stdout.readline().strip() or None
        except BrokenPipeError:
            return None

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        return status


class Levels(case.Case):
    def start(self, *arguments, **keywords):
        server = Server(self.store(), *arguments, **keywords)
        self.addCleanup(server.process.wait, 30)
        self.addCleanup(server.process.kill)
        return server

    def session(self, *requests, **keywords):
        """The answers of one process's life, and how it ended."""
        server = self.start(**keywords)
        answers = [server.ask(request) for request in requests]
        return answers, server.end()

    def info(self, function):
        for region in self.store().regions():
            if region["function"] == function:
                return json.loads(self.store().cli("info", "--json", region["id"]))
        return None

    def in_use(self, function):
        candidate, = [c for c in self.info(function)["candidates"] if c["in_use"]]
        return candidate["level"], candidate["value"]

    def score(self, function, level, value="auto"):
        candidate, = [c for c in self.info(function)["candidates"] if (c["level"], c["value"]) == (level, value)]
        return {key: candidate[key] for key in ("stuck", "again", "died")}

    def until_it_sticks(self, request, most):
        """How many processes died of the request before one refused it."""
        for died in range(most + 1):
            answers, _ = self.session(request)
            if answers == ["refused"]:
                return died
        self.fail(f"{request} is not refused after {most} deaths")

    def test_the_next_value_is_tried(self):
        self.assertEqual(self.until_it_sticks("average nothing", 2), 2)
        self.assertEqual(self.in_use("count_of"), (0, "-1"))
        self.assertEqual(self.score("count_of", 0), {"stuck": 0, "again": 1, "died": 0})
        self.assertEqual(self.session("average nothing", "average four", "stock"),
                         (["refused", "share 300", "stock 400701"], 0))
        self.assertEqual(self.score("count_of", 0, "-1")["stuck"], 2)

    def test_the_next_function_is_tried_and_the_request_never_happened(self):
        self.assertEqual(self.until_it_sticks("describe ghost", 2), 2)
        self.assertEqual(self.in_use("find"), (1, "auto"))
        self.assertEqual(self.session("describe nut", "describe ghost", "describe bolt", "describe ghost", "stock"),
                         (["stock 40", "refused", "stock 7", "refused", "stock 400700"], 0))
        self.assertIsNone(self.info("stock_of"), "what a heal led to is held against the heal")
        heal = self.info("find")["last_heal"]
        self.assertEqual((heal["level"], heal["outcome"]), (1, "healed"))

    def test_the_function_that_knows_how_to_fail_is_tried_first(self):
        for request, function, knows in (("describe ghost", "find", "stock_of"), ("average nothing", "count_of", "average")):
            self.assertEqual(self.session(request, options=options)[1], -signal.SIGSEGV)
            candidates = self.info(function)["candidates"]
            at, = [c for c in candidates if c["in_use"]]
            self.assertEqual((at["function"], at["level"]), (knows, 1), candidates)
            self.assertIn(at["evidence"], ("own error", "caller asks"))
            self.assertEqual(self.session(request, "stock", options=options), (["refused", "stock 400700"], 0))

    def test_one_that_knows_how_to_fail_itself_goes_on_doing_so(self):
        self.session("order gift", options=options)
        self.assertEqual(self.in_use("price_of"), (0, "auto"))

    def test_main_and_the_start_of_the_program_are_no_levels(self):
        self.session("describe ghost")
        self.assertEqual([c["function"] for c in self.info("find")["candidates"]][:3], ["find", "stock_of", "describe"])
        self.assertFalse({"main", "_start"} & {c["function"] for c in self.info("find")["candidates"]})

    def test_of_nested_regions_the_innermost_is_healed(self):
        for request in ("order gift", "order bulk"):
            self.assertEqual(self.session(request)[1], -signal.SIGSEGV)
        self.assertEqual({region["function"] for region in self.store().regions()}, {"price_of", "order"})
        answers, status = self.session("order gift", "stock", "order both", "stock", "order bulk", "order nut", "stock")
        self.assertEqual((answers, status), (["price 9", "stock 390600", "refused", "stock 390600",
                                              "refused", "price 3", "stock 380500"], 0))
        self.assertEqual(self.score("price_of", 0), {"stuck": 1, "again": 1, "died": 0})
        self.assertEqual(self.score("order", 0), {"stuck": 2, "again": 0, "died": 0})

    def test_a_rescue_point_that_has_jumped_to_the_faulting_function(self):
        self.assertEqual(self.session("relay ghost")[1], -signal.SIGSEGV)
        self.store().cli("set", self.info("last")["id"], "--level", "1")
        self.assertEqual(self.session("relay ghost", "relay tin", "relay nut", "stock"),
                         (["refused", "refused", "relay 2", "stock 400700"], 0))
        heal = self.info("last")["last_heal"]
        self.assertEqual((heal["level"], heal["outcome"]), (1, "healed"))
        self.assertEqual(self.info("last")["heals"], 2)

    def test_what_has_served_somebody_is_no_rescue_point(self):
        for _ in range(2):
            self.assertEqual(self.session("gossip ghost")[1], -signal.SIGSEGV)
        self.assertEqual(self.in_use("find"), (1, "auto"))
        self.assertEqual(self.session("gossip ghost")[1], -signal.SIGSEGV)
        candidates = self.info("find")["candidates"]
        self.assertEqual([(c["level"], c["unfit"]) for c in candidates if c["function"] in ("find", "converse", "gossip")
                          and c["value"] == "auto"], [(0, False), (1, True), (2, False)])
        self.assertEqual(self.in_use("find"), (2, "auto"))

    def test_set_by_hand(self):
        self.session("describe ghost")
        region = self.info("find")["id"]
        self.store().cli("set", region, "--level", "2", "--value=-5", "--errno", "5")
        self.assertEqual(self.session("describe ghost", "stock"), (["refused", "stock 400700"], 0))
        info = self.info("find")
        self.assertEqual((info["level"], info["level_by_user"]), (2, True))
        self.assertEqual((info["last_heal"]["value"], info["last_heal"]["level"]), ("0xfffffffffffffffb", 2))
        self.store().cli("set", region, "--level", "auto", "--value", "auto")
        self.assertEqual(self.session("describe ghost")[1], -signal.SIGSEGV)
        with self.assertRaisesRegex(AssertionError, "has the levels 0 to"):
            self.store().cli("set", region, "--level", "7")

    def test_a_function_that_is_known_to_fail_is_where_it_begins(self):
        self.store().cli("learn", "--set", f"{program}!describe=-7")
        self.assertEqual(self.session("describe ghost")[1], -signal.SIGSEGV)
        self.assertEqual(self.in_use("find"), (2, "auto"))
        self.assertEqual(self.session("describe ghost", "stock"), (["refused", "stock 400700"], 0))
        self.assertEqual(self.info("find")["last_heal"]["value"], "0xfffffffffffffff9")

    def test_a_rule_names_the_level(self):
        self.session("describe ghost")
        self.store().policy('[[rule]]\nmodule = "levels_server"\nlevel = 2\nvalue = -6\n')
        self.assertEqual(self.session("describe ghost", "stock"), (["refused", "stock 400700"], 0))
        heal = self.info("find")["last_heal"]
        self.assertEqual((heal["level"], heal["value"]), (2, "0xfffffffffffffffa"))
        self.store().cli("set", self.info("find")["id"], "--level", "1")
        self.assertEqual(self.session("describe ghost")[0], ["refused"])
        self.assertEqual(self.info("find")["last_heal"]["level"], 1, "the user's word on one region is the last")

    def test_the_end_of_the_process_soon_after_is_counted(self):
        self.session("poison")
        self.assertEqual(self.session("poison"), ([None], -signal.SIGABRT))
        self.assertEqual(self.score("bless", 0)["died"], 1)
        self.assertEqual(self.session("poison")[1], -signal.SIGABRT)
        self.assertNotEqual(self.in_use("bless"), (0, "auto"))

    def test_a_process_that_was_killed_is_found_by_the_next(self):
        self.session("killed")
        self.assertEqual(self.session("killed")[1], -signal.SIGKILL)
        self.assertEqual(self.session("stock")[1], 0)
        self.assertEqual(self.score("bless", 0), {"stuck": 0, "again": 0, "died": 1})

    def test_one_that_ends_well_is_not(self):
        self.session("order gift")
        for _ in range(3):
            self.assertEqual(self.session("order gift"), (["price 9"], 0))
        self.assertEqual(self.score("price_of", 0), {"stuck": 3, "again": 0, "died": 0})

    def test_threads(self):
        self.until_it_sticks("describe ghost", 2)
        answers, status = self.session("crowd 8", "stock")
        self.assertEqual((answers, status), (["refused 400", "stock 400700"], 0))
        self.assertEqual(self.score("find", 1), {"stuck": 401, "again": 0, "died": 0})

    def test_a_worker_that_dies_teaches_the_next_while_the_parent_lives(self):
        server = self.start("fork")
        for _ in range(2):
            self.assertEqual(server.ask("describe ghost"), "worker ended by 11")
            self.store().regions()  # promotes, should the parent not have done so yet
        self.assertEqual(server.ask("describe ghost"), "refused")
        self.assertEqual([server.ask("describe nut"), server.ask("describe ghost"), server.ask("stock")],
                         ["stock 40", "refused", "stock 400700"])
        self.assertEqual(server.end(), 0)


if __name__ == "__main__":
    case.main()
