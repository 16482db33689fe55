"""Stacks that are used up by a recursion: recorded with the recursion that did it, then refused or rolled back."""

import os
import re
import unittest

from servers import case, faulty

programs = os.environ["SELFHEAL_PROGRAMS"]
segfault = -11


def nested(depth):
    return "[" * depth + "1" + "]" * depth


class Stack(faulty.FaultyCase):
    def command(self, name, *arguments):
        return [os.path.join(programs, name), *arguments]

    def serve(self, command, requests, **how):
        return self.start(command, input="".join(f"{request}\n" for request in requests), **how)

    def dies_alone(self, command, requests, answers):
        """The first request is answered, the second one is the end."""
        alone = self.serve_alone(command, requests)
        self.assertEqual((alone.returncode, alone.stdout.splitlines()), (segfault, answers[:1]))

    def serve_alone(self, command, requests):
        return self.alone(command, input="".join(f"{request}\n" for request in requests))

    def first_run(self, command, requests, answers):
        """As alone, and one region is recorded."""
        first = self.serve(command, requests)
        self.assertEqual((first.returncode, first.stdout.splitlines()), (segfault, answers[:1]), first.stderr)
        return self.recorded(command)

    def recorded(self, command):
        region, = self.store().regions()
        region = self.region(command, region["id"])
        self.assertEqual(region["fault"]["kind"], "stack-exhaustion")
        return region

    def region(self, command, identity):
        return faulty.json.loads(self.store().cli("info", "--json", "--binary", command[0], identity))

    def second_run(self, command, requests, answers, heals=1):
        second = self.serve(command, requests)
        self.assertEqual(second.returncode, 0, second.stderr)
        for answer, expected in zip(second.stdout.splitlines(), answers, strict=True):
            self.assertRegex(answer, f"^{expected}$", second.stderr)
        region, = self.store().regions()
        self.assertEqual(region["heals"], heals, second.stderr)
        return region

    def heals(self, command, requests, answers, function, cycle, remedies=("stack-check",), heals=1):
        self.dies_alone(command, requests, answers)
        region = self.first_run(command, requests, answers)
        detail = region["last_fault"]["detail"]
        self.assertRegex(region["function"], f"^{function}$")
        self.assertIn(detail["cycle"], cycle)
        self.assertEqual(region["remedies"], list(remedies))
        self.second_run(command, requests, answers, heals)
        return detail


parser_requests = ["[1,[2]]", nested(1000000), "[3]", "[4,[5,", "[4,5]"]
parser_answers = ["3, 0 held", "error, 0 held", "3, 0 held", "error, 0 held", "9, 0 held"]


class Parser(Stack):
    def test_a_parser_refuses_what_is_nested_too_deep(self):
        detail = self.heals(self.command("stack_parser"), parser_requests, parser_answers, "value", [2])
        self.assertGreater(detail["used"], 7 << 20)
        self.assertEqual(detail["outermost_call"]["function"], "serve")

    def test_a_worker_with_a_small_stack_refuses_earlier(self):
        detail = self.heals(self.command("stack_parser", "--worker", "65536"), parser_requests, parser_answers,
                            "value", [2])
        self.assertLess(detail["used"], 65536)

    def test_one_recursion_is_one_heal_and_the_next_one_another(self):
        requests = ["[1]", *[nested(1000000)] * 3, "[2]"]
        answers = ["1, 0 held", *["error, 0 held"] * 3, "2, 0 held"]
        self.heals(self.command("stack_parser"), requests, answers, "value", [2], heals=3)

    def large_frames(self, program):
        requests = ["[1]", nested(16), "[2]"]
        answers = ["1, 0 held", "error, 0 held", "2, 0 held"]
        detail = self.heals(self.command(program), requests, answers, "value", [2])
        self.assertGreater(detail["stride"], 1 << 20)

    def test_frames_larger_than_the_guard(self):
        self.large_frames("stack_large_frames")

    def test_frames_larger_than_the_guard_that_touch_each_page(self):
        self.large_frames("stack_probed_frames")

    def test_children_of_a_forking_server(self):
        command = self.command("stack_parser", "--fork")
        requests = parser_requests[:3]
        answers = [parser_answers[0], "killed by 11", parser_answers[2]]
        self.assertEqual(self.serve_alone(command, requests).stdout.splitlines(), answers)
        self.assertEqual(self.serve(command, requests).stdout.splitlines(), answers)
        self.assertEqual(self.recorded(command)["function"], "value")
        self.second_run(command, requests, parser_answers[:3])

    def test_the_breaker_opens_and_the_process_dies_as_it_would(self):
        self.first_run(self.command("stack_parser"), parser_requests, parser_answers)
        self.options = "heals-per-minute=2"
        requests = ["[1]", nested(1000000), nested(1000000), "[2]", nested(1000000), "[3]"]
        ended = self.serve(self.command("stack_parser"), requests)
        answers = ["1, 0 held", "error, 0 held", "error, 0 held", "2, 0 held"]
        self.assertEqual((ended.returncode, ended.stdout.splitlines()), (segfault, answers))

    def test_a_living_server_learns_it_from_a_child_s_death(self):
        command = self.command("stack_parser", "--fork")
        requests = [nested(1000000), "[1]", nested(1000000), "[2]"]
        answers = ["killed by 11", "1, 0 held", "error, 0 held", "2, 0 held"]
        self.assertEqual(self.serve(command, requests).stdout.splitlines(), answers)

    def test_a_legal_depth_is_not_refused(self):
        """Half of the stack may be used after the fault as before."""
        command = self.command("stack_parser")
        self.first_run(command, parser_requests, parser_answers)
        self.second_run(command, [nested(40000)], ["1, 0 held"], heals=0)


class Destructor(Stack):
    def left(self, command, length):
        self.heals(command, ["10", str(length), "20"], ["0 left", r"[1-9]\d* left", "0 left"],
                   r"\(anonymous namespace\)::Node::~Node\(\)", [1])

    def test_the_tail_of_a_long_list_is_leaked(self):
        self.left(self.command("stack_list"), 1000000)

    def test_on_a_worker(self):
        self.left(self.command("stack_list", "--worker", "131072"), 20000)

    def test_the_engine_rolls_back_and_leaks_all_of_it(self):
        command = self.command("stack_list", "--worker", "131072")
        requests = ["10", "20000", "20"]
        region = self.first_run(command, requests, ["0 left"])
        self.store().cli("set", region["id"], "--remedy", "engine")
        self.second_run(command, requests, ["0 left", "20000 left", "0 left"])


class Callback(Stack):
    answers = ["20 nodes", "too deep", "40 nodes"]

    def test_mutual_recursion_through_a_callback(self):
        self.heals(self.command("stack_visitor"), ["10", "1000000", "20"], self.answers, "each_child|count_nodes", [2])

    def test_on_a_worker(self):
        self.heals(self.command("stack_visitor", "--worker", "131072"), ["10", "20000", "20"], self.answers,
                   "each_child|count_nodes", [2])


class ErrorsIgnored(Stack):
    """A walk that goes on with the next child after each refusal: one heal; no argument is lost on the way."""

    answers = ["all, right", "some, right", "all, right"]

    def test_on_the_first_thread(self):
        self.heals(self.command("stack_weights"), ["10", "1000000", "20"], self.answers, "weigh", [1])

    def test_on_a_worker(self):
        self.heals(self.command("stack_weights", "--worker", "131072"), ["10", "20000", "20"], self.answers, "weigh",
                   [1])


class InsideLibc(Stack):
    """The application's function that called into libc is run by the engine, and rolled back."""

    answers = ["compiled", "refused", "compiled"]

    def test_nested_groups_of_a_regular_expression(self):
        self.heals(self.command("stack_pattern"), ["10", "100000", "20"], self.answers, "compile", range(2, 8),
                   remedies=())

    def test_on_a_worker(self):
        self.heals(self.command("stack_pattern", "--worker", "131072"), ["10", "5000", "20"], self.answers,
                   "compile", range(2, 8), remedies=())


class Crowd(Stack):
    def test_threads_that_are_refused_at_once_while_signals_arrive(self):
        command = self.command("stack_crowd", "4", "100")
        self.options = "heals-per-minute=0"
        self.assertEqual(self.serve_alone(command, []).returncode, segfault)
        self.assertEqual(self.serve(command, []).returncode, segfault)
        self.assertEqual(self.recorded(command)["function"], "count_lists")
        second = self.serve(command, [])
        self.assertEqual((second.returncode, second.stdout), (0, "0 wrong\n"), second.stderr)


class NoRecursion(Stack):
    """One frame that is too large: its function is run by the engine."""

    answers = ["10", "error", "20"]

    def test_scratch_memory_beyond_the_first_thread_s_stack(self):
        self.heals(self.command("stack_scratch"), ["640", "20000000", "1280"], self.answers, "sum_of", [0], remedies=())

    def test_on_a_worker(self):
        self.heals(self.command("stack_scratch", "--worker", "131072"), ["640", "300000", "1280"], self.answers, "sum_of",
                   [0], remedies=())


class Context(Stack):
    """Where a stack ends that the program made itself nobody knows: the check does not help, the engine does."""

    def test_the_engine_takes_over(self):
        command = self.command("stack_context")
        requests = [nested(3).replace("1", ""), "[" * 100000, "[[]]", "[["]
        answers = ["depth 3", "error", "depth 2", "error"]
        self.dies_alone(command, requests, answers)
        self.assertEqual(self.first_run(command, requests, answers)["remedies"], ["stack-check"])
        self.assertEqual(self.first_run(command, requests, answers)["remedies"], [])
        self.second_run(command, requests, answers)


class Recovers(Stack):
    def test_a_handler_on_its_own_stack_goes_on_as_before(self):
        command = self.command("stack_recovers")
        requests = ["10", "10000000", "20", "10000000", "30"]
        answers = ["55", "recovered", "210", "recovered", "465"]
        self.assertEqual(self.serve_alone(command, requests).stdout.splitlines(), answers)
        for _ in range(2):
            self.assertEqual(self.serve(command, requests).stdout.splitlines(), answers)
        self.assertEqual(self.store().regions(), [])


python_server = """
import sys
sys.setrecursionlimit(10**9)
def nested(depth):
    result = []
    for _ in range(depth):
        result = [result]
    return result
for line in sys.stdin:
    try:
        print(len(repr(nested(int(line)))), flush=True)
    except SystemError as error:
        print(error, flush=True)
"""

bash_server = """
down() { if [ "$1" -gt 0 ]; then down $(($1 - 1)); else echo bottom; fi }
while read -r depth; do down "$depth"; echo "status $?"; done
"""


class RealPrograms(Stack):
    """Debian's own binaries, stripped."""

    def test_python_with_its_guard_turned_off(self):
        command = ["/usr/bin/python3", "-c", python_server]
        requests, answers = ["10", "100000", "20"], ["22", ".* returned NULL without setting an exception", "42"]
        self.dies_alone(command, requests, answers)
        self.assertEqual(self.first_run(command, requests, answers)["remedies"], ["stack-check"])
        self.second_run(command, requests, answers)

    def test_bash_with_a_function_that_calls_itself(self):
        # Its recursion costs the square of the depth: on a small stack.
        command = ["/bin/bash", "-c", 'ulimit -s 512; exec /bin/bash -c "$0"', bash_server]
        requests, answers = ["10", "1000000", "20"], ["bottom", "status 0", "status -1", "bottom", "status 0"]
        alone = self.serve_alone(command, requests)
        self.assertEqual((alone.returncode, alone.stdout.splitlines()), (segfault, answers[:2]))
        first = self.serve(command, requests)
        self.assertEqual((first.returncode, first.stdout.splitlines()), (segfault, answers[:2]))
        region = self.recorded(command)
        self.assertEqual(region["remedies"], ["stack-check"])
        self.assertGreater(region["last_fault"]["detail"]["cycle"], 1)
        self.second_run(command, requests, answers)

    def test_gawk_says_that_its_own_parser_gave_up(self):
        """Its handler (libsigsegv) ends it: recorded when it does."""
        folder = self.folder
        program = os.path.join(folder, "program.awk")
        with open(program, "w", encoding="ascii") as file:
            file.write(f"/{'(' * 100000}a{')' * 100000}/\n")
        command = ["/usr/bin/gawk", "-f", program]
        alone, first = self.serve_alone(command, ["a"]), self.serve(command, ["a"])
        self.assertIn("internal error: segfault", alone.stderr)
        self.assertEqual((first.returncode, first.stderr), (alone.returncode, alone.stderr))
        self.assertEqual(self.recorded(command)["remedies"], ["stack-check"])
        second = self.serve(command, ["a"])
        self.assertEqual(second.returncode, 1)
        self.assertIn("Unmatched (", second.stderr)


if __name__ == "__main__":
    case.main()
