"""Functions that the user names are run by the engine, `main` of a stripped program, too."""

import json
import os
import subprocess

from servers import case, runtime

programs = os.environ["SELFHEAL_PROGRAMS"]
loop = 300_000  # instructions at least in the programs' loop


class Regions(case.Case):
    def setUp(self):
        self.statistics = os.path.join(self.folder, "statistics")

    def lines(self):
        """What the processes wrote down; the oldest first."""
        if not os.path.exists(self.statistics):
            return []
        with open(self.statistics, encoding="ascii") as file:
            return [json.loads(line) for line in file]

    def run_with(self, options, *command):
        environment = self.store().environment(f"statistics={self.statistics}:{options}")
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def program(self, name, region, *arguments, verbose=False):
        """Runs one of our programs natively and with `region`; the outcome must be the same."""
        command = [os.path.join(programs, name), *arguments]
        alone = subprocess.run(command, env=runtime.plain_environment(), capture_output=True, text=True,
                               timeout=60, check=False)
        together = self.run_with(f"region={region}" + (":verbose" if verbose else ""), *command)
        self.assertEqual((together.returncode, together.stdout), (alone.returncode, alone.stdout))
        if not verbose:
            self.assertEqual(together.stderr, "")
        return together

    def assert_main_runs(self, name):
        run = self.program(name, f"{name}!main", verbose=True)
        self.assertEqual(run.stderr, f"selfheal: region {name}!main: is run by the engine\n")
        line, = self.lines()
        self.assertEqual((line["program"], line["region_calls"]), (name, 1))
        self.assertGreater(line["instructions"], loop)

    def test_main_by_symbol(self):
        self.assert_main_runs("region_symbols")

    def test_main_by_dynamic_symbol(self):
        self.assert_main_runs("region_exported")

    def test_main_of_a_stripped_program(self):
        self.assert_main_runs("region_stripped")

    def test_main_of_a_stripped_program_whose_start_reads_the_global_offset_table(self):
        self.assert_main_runs("region_unrelaxed")

    def test_main_of_a_stripped_program_with_holes(self):
        self.assert_main_runs("region_holes")

    def test_main_of_a_stripped_program_at_a_fixed_address(self):
        self.assert_main_runs("region_fixed")

    def test_main_without_call_frame_information(self):
        self.assert_main_runs("region_bare")

    def test_a_function_by_name_and_by_offset(self):
        names = subprocess.run(["nm", os.path.join(programs, "region_symbols")], capture_output=True, text=True,
                               check=True).stdout.split("\n")
        offset, = (int(n.split()[0], 16) for n in names if n.endswith(" T exported_work"))
        self.program("region_symbols", "region_symbols!exported_work")
        self.program("region_symbols", f"region_symbols+0x{offset:x}")
        by_name, by_offset = self.lines()
        self.assertEqual(by_name["region_calls"], 1)
        self.assertGreater(by_name["instructions"], loop)
        self.assertEqual(by_name["instructions"], by_offset["instructions"])

    def test_several_regions(self):
        self.program("region_symbols", "region_symbols!exported_work:region=region_symbols!main:region=libc.so.6!fflush")
        line, = self.lines()
        self.assertGreaterEqual(line["region_calls"], 1)
        self.program("region_symbols", "region_symbols!exported_work:region=libc.so.6!fflush")
        line = self.lines()[-1]
        self.assertGreaterEqual(line["region_calls"], 2)

    def test_the_command_takes_several_regions(self):
        command = os.path.join(programs, "region_symbols")
        run = subprocess.run(
            [runtime.command, "run", "--store", self.store().folder, "--statistics", self.statistics,
             "--region", "region_symbols!exported_work", "--region", "libc.so.6!fflush", "--verbose", "--", command],
            env=runtime.plain_environment(), capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 2)
        self.assertEqual(sorted(run.stderr.splitlines()),
                         ["selfheal: region libc.so.6!fflush: is run by the engine",
                          "selfheal: region region_symbols!exported_work: is run by the engine"])
        line, = self.lines()
        self.assertGreaterEqual(line["region_calls"], 2)
        self.assertGreater(line["instructions"], loop)

    def test_every_normal_end_leaves_one_line(self):
        for end in "", "e", "_", "q":
            with self.subTest(end=end):
                before = len(self.lines())
                self.program("region_stripped", "region_stripped!main", end)
                self.assertEqual(len(self.lines()), before + 1)
                self.assertGreater(self.lines()[-1]["instructions"], loop)

    def test_a_fault_in_a_program_with_holes_is_attributed(self):
        store = self.store()
        run = subprocess.run([os.path.join(programs, "region_holes"), "c"], env=store.environment(),
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, -11)
        region, = store.regions()
        self.assertEqual(region["module"]["name"], "region_holes")

    def test_a_function_that_is_not_there(self):
        run = self.run_with("region=region_symbols!nothing", os.path.join(programs, "region_symbols"))
        self.assertEqual(run.stderr, "selfheal: region region_symbols!nothing: no such function\n")

    def test_an_offset_inside_a_function(self):
        run = self.run_with("region=region_symbols+0x1", os.path.join(programs, "region_symbols"))
        self.assertRegex(run.stderr, r"^selfheal: region region_symbols\+0x1: .*\n$")

    def test_a_module_that_is_not_there_is_named_on_request_only(self):
        command = os.path.join(programs, "region_symbols")
        self.assertEqual(self.run_with("region=nowhere.so!main", command).stderr, "")
        self.assertEqual(self.run_with("region=nowhere.so!main:verbose", command).stderr,
                         "selfheal: region nowhere.so!main: no module of that name is loaded yet\n")

    def test_a_region_the_command_does_not_understand(self):
        run = subprocess.run([runtime.command, "run", "--region", "nonsense", "--", "true"],
                             env=runtime.plain_environment(), capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 125)
        self.assertIn("MODULE!FUNCTION or MODULE+0xOFFSET", run.stderr)


if __name__ == "__main__":
    case.main()
