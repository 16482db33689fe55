"""Arithmetic, illegal instructions, mapped files and alignment, as docs/faults.md says."""

import os
import signal

from servers import case, faulty, symbols

program = os.environ["SELFHEAL_ARITHMETIC"]
text = "abcdefghi"

# request: signal, kind, blamed function, the instruction at fault, the sentence
healed = {
    "zero": ("SIGFPE", "divide", "do_zero", "idiv", "divided an integer by zero"),
    "quotient": ("SIGFPE", "divide", "do_quotient", "idiv", "quotient too large"),
    "float": ("SIGFPE", "floating-point", "do_float", "divsd", "(division by zero)"),
    "trap": ("SIGILL", "illegal-instruction", "do_trap", "ud2", "reached ud2"),
    "sanitizer": ("SIGILL", "illegal-instruction", "add", "ud2", "reached ud2"),
    "check": ("SIGILL", "illegal-instruction", "do_check", "ud1", "sanitizer: an index out of bounds"),
    "privileged": ("SIGSEGV", "illegal-instruction", "do_privileged", "hlt", "only the kernel may"),
    "map_read": ("SIGBUS", "bus", "first_byte_of", "movsx", "read from address .* beyond the end of a mapped file"),
    "map_write": ("SIGBUS", "bus", "do_map_write", "mov byte", "wrote to address .* beyond the end of a mapped file"),
    # Inside libc; which instruction of memcpy's depends on the processor.
    "map_copy": ("SIGBUS", "bus", "do_map_copy", "", "read from address .* beyond the end of a mapped file"),
    "aligned_read": ("SIGSEGV", "wild-access", "first_of", "movaps", "read from address .* not aligned"),
    "aligned_write": ("SIGSEGV", "wild-access", "clear_at", "movaps", "wrote to address .* not aligned"),
}
# The engine leaves at what would turn the flag on, and a breakpoint is somebody's wish.
stopped = {
    "flag": ("SIGBUS", "bus", "read_checked", "mov", "read from address .* not aligned"),
}


class Server(faulty.FaultyCase):
    def requests(self, name):
        return [program, "good", name, f"{name}={text}", "good"]

    def die_twice(self, name, signal_name):
        alone = self.alone(self.requests(name))
        first = self.start(self.requests(name))
        self.assertEqual(alone.returncode, -getattr(signal, signal_name))
        self.assertEqual((first.returncode, first.stdout, first.stderr),
                         (alone.returncode, alone.stdout, alone.stderr))

    def check_record(self, signal_name, kind, function, instruction, sentence):
        region = self.only_region()
        fault = region["last_fault"]
        self.assertEqual((fault["kind"], fault["signal"]), (kind, getattr(signal, signal_name)))
        blamed = symbols.name_at(program, region["offset"])
        self.assertEqual(blamed, function)
        if instruction:
            self.assertIn(symbols.name_at(program, fault["site"]["offset"]), (function, f"{function}.cold"))
        self.assertTrue(fault["instruction"]["text"].startswith(instruction), fault["instruction"])
        self.assertRegex(self.store().cli("info", region["id"]), sentence)


class Rows(Server):
    """One test a row; added below."""

    def test_a_breakpoint_is_not_healed(self):
        self.die_twice("breakpoint", "SIGTRAP")
        self.assertEqual(self.store().regions(), [])
        self.assertEqual(self.start(self.requests("breakpoint")).returncode, -signal.SIGTRAP)

    def test_what_the_kernel_cannot_read_is_no_fault(self):
        alone = self.alone(self.requests("map_send"))
        run = self.start(self.requests("map_send"))
        self.assertEqual((run.returncode, run.stdout), (0, alone.stdout))
        self.assertIn(f"map_send={text}: error, errno 14", run.stdout)
        self.assertEqual(self.store().regions(), [])


def healing(name, row):
    def test(self):
        self.die_twice(name, row[0])
        self.check_record(*row)
        second = self.start(self.requests(name))
        self.assertEqual((second.returncode, second.stderr), (0, ""))
        self.assertEqual(len(second.stdout.splitlines()), 4)
        self.assertIn("good: done, errno 0", second.stdout.splitlines()[3])
        region = self.only_region()
        self.assertEqual(region["outcomes"]["healed"], 1)
        self.assertEqual(region["last_heal"]["kind"], row[1])
        if "address" in row[4]:
            self.assertNotEqual(region["last_heal"]["address"], "0x0")
        if row[2].startswith("do_"):  # the request itself failed, and did not count
            self.assertRegex(second.stdout, rf"{name}={text}: error, errno \d+ \(served 2\)\n")
            self.assertIn("(served 3)", second.stdout)
    return test


def stopping(name, row):
    def test(self):
        self.die_twice(name, row[0])
        self.check_record(*row)
        self.assertEqual(self.start(self.requests(name)).returncode, -getattr(signal, row[0]))
        self.assertEqual(self.only_region()["outcomes"]["healed"], 0)
    return test


for rows, kind_of_test in ((healed, healing), (stopped, stopping)):
    for row_name, its_row in rows.items():
        setattr(Rows, f"test_{row_name}", kind_of_test(row_name, its_row))

if __name__ == "__main__":
    case.main()
