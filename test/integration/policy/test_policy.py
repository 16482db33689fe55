"""Policy: rules in TOML say which faults are healed, and how."""

import json
import os
import signal
import subprocess

from servers import case

program = os.environ["SELFHEAL_PROGRAM"]


class Policy(case.Case):
    def start(self, what, times=1):
        return subprocess.run([program, what, str(times)], env=self.store().environment("report=never:heals-per-minute=0"),
                              capture_output=True, text=True, timeout=60, check=False)

    def record(self, what):
        """The first run: it crashes, and its region is known from then on."""
        self.assertEqual(self.start(what).returncode, -signal.SIGSEGV)

    def assert_dies(self, run):
        self.assertEqual((run.returncode, run.stdout), (-signal.SIGSEGV, ""))

    def info(self):
        region, = self.store().regions()
        return json.loads(self.store().cli("info", "--json", region["id"]))

    def test_without_rules_a_request_is_refused(self):
        self.record("parse")
        self.assertEqual(self.start("parse", 3).stdout, "refused\n" * 3)

    def test_an_access_decision_is_never_guessed(self):
        self.record("password")
        self.assert_dies(self.start("password"))

    def test_why_nothing_is_healed_is_said_on_request(self):
        self.record("password")
        run = subprocess.run([program, "password", "1"], env=self.store().environment("report=never:verbose=yes"),
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertIn(f"region {self.info()['id']} is not protected: it may decide about access", run.stderr)

    def test_nor_one_that_is_known_by_whom_it_asks(self):
        self.record("account")
        self.assertEqual(self.info()["decision"], "heal", "nobody has looked yet")
        self.assert_dies(self.start("account"))
        info = self.info()
        self.assertEqual((info["decision"], info["heals"]), ("known-value", 0))
        self.assertIn("it is not healed (it may decide about access", info["last_fault"]["report"])
        self.store().cli("set", info["id"], "--value=1")
        self.assertEqual(self.start("account", 2).stdout, "kept out\n" * 2)

    def test_an_access_decision_is_healed_with_a_value_that_was_set(self):
        self.record("password")
        region, = self.store().regions()
        self.store().cli("set", region["id"], "--value=-1")
        self.assertEqual(self.start("password", 2).stdout, "kept out\n" * 2)

    def test_or_with_what_the_user_says_it_fails_with(self):
        self.record("password")
        region, = self.store().regions()
        self.store().cli("learn", "--set", f"{region['id']}=1")
        self.assertEqual(self.start("password", 2).stdout, "kept out\n" * 2)

    def test_the_same_by_a_rule(self):
        self.record("password")
        self.store().policy('[[rule]]\nfunction = "check_password"\nvalue = 1\n')
        self.assertEqual(self.start("password", 2).stdout, "kept out\n" * 2)

    def test_observe_and_stop_let_it_die(self):
        self.record("parse")
        for mode in ("observe", "stop"):
            self.store().policy(f'[[rule]]\nprogram = "policy_program"\nfunction = "parse_*"\nmode = "{mode}"\n')
            self.assert_dies(self.start("parse"))
        self.assertEqual(self.info()["faults"], 3)

    def test_simulate_says_what_would_have_been(self):
        self.record("parse")
        self.store().policy('[[rule]]\nmode = "simulate"\n')
        self.assert_dies(self.start("parse"))
        info = self.info()
        self.assertEqual((info["outcomes"]["simulated"], info["outcomes"]["healed"]), (1, 0))
        self.assertEqual(info["last_heal"]["outcome"], "simulated")
        self.assertEqual(int(info["last_heal"]["value"], 16) & 0xffffffff, 0xffffffff)

    def test_what_the_user_set_for_one_region_is_the_last_word(self):
        self.record("parse")
        self.store().policy('[[rule]]\nmode = "stop"\n')
        region, = self.store().regions()
        self.store().cli("set", region["id"], "--policy", "heal")
        self.assertEqual(self.start("parse").stdout, "refused\n")

    def test_a_percentage_of_the_faults(self):
        self.record("parse")
        self.store().policy('[[rule]]\nheal-percent = 0\n')
        self.assert_dies(self.start("parse"))
        self.store().policy('[[rule]]\nheal-percent = 90\n')
        run = self.start("parse", 1000)
        healed = run.stdout.count("refused\n")
        self.assertEqual(run.returncode, -signal.SIGSEGV)
        self.assertTrue(1 <= healed <= 30, healed)
        self.store().policy('[[rule]]\nheal-percent = 100\n')
        self.assertEqual(self.start("parse", 1000).stdout, "refused\n" * 1000)

    def test_rules_may_come_before_the_first_program(self):
        self.store().policy('[[rule]]\nmode = "stop"\n')
        self.record("parse")
        self.assert_dies(self.start("parse"))

    def test_rules_for_another_program_or_build_are_none_for_this(self):
        self.record("parse")
        self.store().policy('program = "other"\n[[rule]]\nmode = "stop"\n')
        self.assertEqual(self.start("parse").stdout, "refused\n")
        self.store().policy('[[rule]]\nbuild-id = "00112233"\nmode = "stop"\n')
        self.assertEqual(self.start("parse").stdout, "refused\n")
        region, = self.store().regions()
        self.store().policy(f'[[rule]]\nbuild-id = "{region["module"]["id"][:8]}"\nmode = "stop"\n')
        self.assert_dies(self.start("parse"))


if __name__ == "__main__":
    case.main()
