"""A server that no longer answers: noticed, asked where it hangs, recorded, started again; and the
request that hung it is refused by its second life."""

import os
import signal

from servers import case, process
from supervised import SupervisedCase

# What the engine may run in one call of the region: a hang takes a second there and not an age.
budget = ("--instruction-budget", "20000000")


class Health(SupervisedCase):
    def checked(self, *options, workers=0):
        self.run_server("--restart", "--health-http", self.url(), *self.health, *budget, *options, workers=workers)

    def assert_loop_is_found_and_healed(self):
        self.get("/loop", 0.3)
        self.wait_until_said("restart 1 in ")
        self.assertIn("its health check failed 2 times in a row: no answer within 2000 ms", self.said())
        self.wait_until_it_serves()
        region, = self.store().regions()
        self.assertEqual((region["function"], region["fault"]["kind"], region["policy"]),
                         ("parse_list", "time-out", "heal"))
        self.assertEqual(self.get("/loop", 60), (400, "-1\n"))  # the value its caller tests for
        self.assertEqual(self.get("/"), (200, " 1\n"))
        self.assertNotIn("restart 2", self.said())
        region, = self.store().regions()
        self.assertEqual((region["faults"], region["heals"]), (1, 1))

    def test_an_endless_loop(self):
        self.checked()
        self.assert_loop_is_found_and_healed()
        event, = self.events()
        self.assertEqual((event["kind"], event["message"]),
                         ("time-out", "its health check failed 2 times in a row: no answer within 2000 ms"))
        self.assertEqual(self.end(), 128 + signal.SIGTERM)

    def test_an_endless_loop_in_a_worker_process(self):
        self.checked(workers=1)
        self.assert_loop_is_found_and_healed()

    def test_a_deadlock_is_recorded_with_where_each_thread_waits(self):
        self.checked()
        self.get("/deadlock", 0.3)
        self.wait_until_said("restart 1 in ")
        self.wait_until_it_serves()
        self.assertEqual(self.store().regions(), [])  # nobody is blamed
        events = self.events()
        self.assertEqual([e["kind"] for e in events], ["time-out"] * 3, events)
        self.assertEqual(events[0]["message"], "every thread waits: 2 in futex")
        self.assertEqual({e["message"] for e in events[1:]}, {"every thread waits; this one here"})
        self.assertEqual(len({e["tid"] for e in events[1:]}), 2)
        for name in ("transfer", "take_second_then_first"):
            self.assertIn(name, self.said())

    def test_the_loop_that_serves_is_not_blamed(self):
        """It is meant to run for ever: in the engine it would help nobody, refused it would end the server."""
        self.checked()
        self.get("/spin", 0.3)
        self.wait_until_said("restart 1 in ")
        self.wait_until_it_serves()
        self.assertEqual(self.store().regions(), [])
        self.assertEqual([e["kind"] for e in self.events()], ["time-out"] * 2)
        self.assertIn("serve_for_ever", self.said())  # where it was is told

    def test_a_wait_without_end(self):
        self.checked()
        self.get("/sleep", 0.3)
        self.wait_until_said("restart 1 in ")
        self.wait_until_it_serves()
        self.assertEqual(self.store().regions(), [])
        self.assertEqual(self.events()[0]["message"], "every thread waits: 1 in clock_nanosleep")

    def test_a_wrong_answer(self):
        self.checked()
        self.assertEqual(self.get("/broken")[0], 500)
        self.wait_until_said("restart 1 in ")
        self.assertIn("its health check failed 2 times in a row: HTTP status 500", self.said())
        self.wait_until_it_serves()

    def test_with_the_library_switched_off_the_program_is_not_asked(self):
        self.checked("--mode", "off")
        self.get("/loop", 0.3)
        self.wait_until_said("restart 1 in ")
        self.assertIn("was ended", self.said())  # by us, and not by a signal that it did not know
        self.wait_until_it_serves()
        self.assertEqual([e["kind"] for e in self.events()], ["time-out"])
        self.assertEqual(self.store().regions(), [])

    def test_without_restart_the_program_is_ended_with_status_124(self):
        self.run_server("--health-http", self.url(), *self.health)
        self.get("/sleep", 0.3)
        process.wait_for(lambda: not self.supervisor.running(), "the end", 90)
        self.assertEqual(self.supervisor.status(), 124)
        self.assertEqual(self.get("/"), None)

    def test_a_command_that_hangs_is_killed_with_what_it_started(self):
        file = os.path.join(self.folder, "pids")
        self.run_server("--restart", "--health-cmd", f"sleep 600 & echo $! >> '{file}'; wait", *self.health,
                        "--health-timeout", "0.3", "--max-restarts", "1")
        process.wait_for(lambda: not self.supervisor.running(), "it gives up", 90)
        self.assertEqual(self.supervisor.status(), 124)
        self.assertIn("no answer within 300 ms", self.said())
        self.assertIn("gave up after 1 restarts", self.said())
        with open(file, encoding="ascii") as f:
            sleepers = [int(line) for line in f]
        self.assertGreaterEqual(len(sleepers), 4)
        process.wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in sleepers), "no sleeper is left")

    def test_a_signal_during_a_check_reaches_the_program(self):
        self.run_server("--restart", "--health-cmd", "sleep 600", "--health-interval", "0.05")
        process.wait_for(lambda: _children(self.supervisor.pid) > 1, "a check is being made")
        self.assertEqual(self.end(), 128 + signal.SIGTERM)

    def test_failures_in_the_start_period_do_not_count(self):
        flag = os.path.join(self.folder, "ready")
        count = os.path.join(self.folder, "count")
        self.run_server("--restart", "--health-cmd", f"echo >> '{count}'; test -e '{flag}'", *self.health,
                        "--health-start-period", "3600")
        process.wait_for(lambda: os.path.exists(count) and os.path.getsize(count) > 4, "five checks failed")
        self.assertEqual(self.said(), "")
        with open(flag, "w", encoding="ascii"):
            pass
        seen = os.path.getsize(count)
        process.wait_for(lambda: os.path.getsize(count) > seen + 1, "a check succeeded, which ends the period")
        os.unlink(flag)
        self.wait_until_said("its health check failed 2 times in a row: status 1")


def _children(pid):
    """How many processes have this parent."""
    count = 0
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                count += int(f.read().rsplit(")", 1)[1].split()[1]) == pid
        except (OSError, IndexError):
            pass
    return count


if __name__ == "__main__":
    case.main()
