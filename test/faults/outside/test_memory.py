"""A program that takes too much memory: noticed before the kernel has to, recorded, started again."""


from servers import case, process
from supervised import SupervisedCase


class Memory(SupervisedCase):
    def test_a_function_that_takes_more_and_more(self):
        self.run_server("--restart", "--memory-limit", "100M", "--stop-timeout", "0.5")
        self.get("/grow", 0.3)
        self.wait_until_said("restart 1 in ")
        self.wait_until_it_serves()
        self.assertRegex(self.said(), r"it uses \d+ MiB, more than its limit of 100 MiB")
        region, = self.store().regions()
        self.assertEqual((region["function"], region["fault"]["kind"]), ("load_all", "memory-growth"))
        event, = self.events()
        self.assertEqual(event["kind"], "memory-growth")

    def test_workers_count_once_for_what_they_share(self):
        # Three processes and their parent, a few MiB each: alone none of them is over the limit.
        self.run_server("--restart", "--memory-limit", "100M", "--stop-timeout", "0.5", workers=3)
        self.get("/grow", 0.3)
        self.wait_until_said("restart 1 in ")
        region, = self.store().regions()
        self.assertEqual(region["function"], "load_all")

    def test_a_program_below_its_limit_is_left_alone(self):
        self.run_server("--restart", "--memory-limit", "1G", "--health-http", self.url(), *self.health)
        for _ in range(5):
            process.wait_for(lambda: self.get("/") == (200, " 1\n"), "an answer")
        self.end()
        self.assertEqual((self.said(), self.events(), self.store().regions()), ("", [], []))

    def test_without_restart_the_status_is_124(self):
        self.run_server("--memory-limit", "100M", "--stop-timeout", "0.5")
        self.get("/grow", 0.3)
        process.wait_for(lambda: not self.supervisor.running(), "the end", 90)
        self.assertEqual(self.supervisor.status(), 124)


if __name__ == "__main__":
    case.main()
