#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "lib/report/operands.h"
#include "test/report/sample.h"

namespace selfheal::report::test {
namespace {

Fault fault_at(u64 address) {
  Fault fault{};
  fault.kind = FaultKind::wild_access;
  fault.address = address;
  for (unsigned i = 0; i < gpr_count; ++i) {
    fault.registers.gpr[i] = 0x1111111111111111ULL * i;
  }
  fault.registers.rip = 0x400000;
  return fault;
}

std::string operands(const std::vector<u8>& bytes, const Fault& fault) {
  Captured captured;
  {
    Writer out(captured.sink());
    write_operands(bytes.data(), bytes.size(), fault, out);
  }
  // The label's columns are the same on every line: cut them off.
  std::string result;
  for (size_t at = 0; at < captured.text.size();) {
    const size_t end = captured.text.find('\n', at);
    result += captured.text.substr(at + 15, end - at - 14);
    at = end + 1;
  }
  return result;
}

TEST_CASE("base, scaled index and displacement add up") {
  Fault fault = fault_at(0x7000 + 3 * 8 - 16);
  fault.registers.gpr[rdx] = 0x7000;
  fault.registers.gpr[rcx] = 3;
  CHECK(operands({0x48, 0x8b, 0x44, 0xca, 0xf0}, fault) ==  // mov rax, [rdx+rcx*8-0x10]
        "rdx = 0x7000, rcx = 0x3\n"
        "qword ptr [rdx+rcx*8-0x10] is at 0x7008, 8 bytes read  <- the fault\n");
}

TEST_CASE("an index without base and an absolute address are right") {
  Fault fault = fault_at(0);
  fault.registers.gpr[r9] = 0x10;
  CHECK(operands({0x42, 0x8b, 0x04, 0x8d, 0x00, 0x10, 0x00, 0x00}, fault) ==
        "r9 = 0x10\n"
        "dword ptr [r9*4+0x1000] is at 0x1040, 4 bytes read\n");
  CHECK(operands({0x8b, 0x04, 0x25, 0x00, 0x10, 0x00, 0x00}, fault) ==
        "dword ptr [0x1000] is at 0x1000, 4 bytes read\n");
}

TEST_CASE("rip-relative addresses count from the end of the instruction") {
  CHECK(operands({0x8b, 0x05, 0x10, 0x00, 0x00, 0x00}, fault_at(0x400016)) ==
        "dword ptr [rip+0x10] is at 0x400016, 4 bytes read  <- the fault\n");
  CHECK(
      operands({0xc7, 0x05, 0xf0, 0xff, 0xff, 0xff, 0x2a, 0x00, 0x00, 0x00}, fault_at(0x3ffffa)) ==
      "dword ptr [rip-0x10] is at 0x3ffffa, 4 bytes written  <- the fault\n");
}

TEST_CASE("8, 16 and 32 bit registers show their own part of the register") {
  Fault fault = fault_at(0);
  fault.registers.gpr[rax] = 0x1122334455667788;
  fault.registers.gpr[rcx] = 0x99aabbccddeeff00;
  fault.registers.gpr[rsi] = 0xfedcba9876543210;
  fault.registers.gpr[r10] = 0x0123456789abcdef;
  CHECK(operands({0x00, 0xc8}, fault) == "al = 0x88, cl = 0x0\n");          // add al, cl
  CHECK(operands({0x00, 0xe9}, fault) == "cl = 0x0, ch = 0xff\n");          // add cl, ch
  CHECK(operands({0x00, 0xcc}, fault) == "ah = 0x77, cl = 0x0\n");          // add ah, cl
  CHECK(operands({0x40, 0x00, 0xf0}, fault) == "al = 0x88, sil = 0x10\n");  // add al, sil
  CHECK(operands({0x66, 0x01, 0xc8}, fault) == "ax = 0x7788, cx = 0xff00\n");
  CHECK(operands({0x44, 0x01, 0xd0}, fault) == "eax = 0x55667788, r10d = 0x89abcdef\n");
  CHECK(operands({0x4c, 0x01, 0xd0}, fault) ==
        "rax = 0x1122334455667788, r10 = 0x123456789abcdef\n");
}

TEST_CASE("a written-only destination has no value to show") {
  CHECK(operands({0x48, 0x89, 0xc8}, fault_at(0)) == "rcx = 0x1111111111111111\n");
}

TEST_CASE("the address-size prefix cuts the address to 32 bits") {
  Fault fault = fault_at(0x20);
  fault.registers.gpr[rdi] = 0xffffffff00000010;
  CHECK(operands({0x67, 0x8b, 0x47, 0x10}, fault) ==
        "edi = 0x10\n"
        "dword ptr [edi+0x10] is at 0x20, 4 bytes read  <- the fault\n");
}

TEST_CASE("division shows divisor and both halves of the dividend") {
  Fault fault = fault_at(0);
  fault.kind = FaultKind::divide;
  fault.registers.gpr[rcx] = 0;
  fault.registers.gpr[rax] = 7;
  fault.registers.gpr[rdx] = 0;
  CHECK(operands({0xf7, 0xf9}, fault) == "ecx = 0x0, eax = 0x7, edx = 0x0\n");
}

TEST_CASE("of two memory operands the one that faulted is marked") {
  Fault fault = fault_at(0x5004);
  fault.registers.gpr[rsi] = 0x4000;
  fault.registers.gpr[rdi] = 0x5000;
  fault.registers.gpr[rcx] = 1;
  const std::string text = operands({0x48, 0xa5}, fault);  // movsq
  CHECK(text ==
        "rdi = 0x5000, rsi = 0x4000\n"
        "memory is at 0x5000, 8 bytes written  <- the fault\n"
        "memory is at 0x4000, 8 bytes read\n");
}

TEST_CASE("pushes and calls store below the stack pointer") {
  Fault fault = fault_at(0x7ff8);
  fault.kind = FaultKind::stack_exhaustion;
  fault.registers.gpr[rsp] = 0x8000;
  fault.registers.gpr[rbx] = 0x55;
  CHECK(operands({0x53}, fault) ==
        "rbx = 0x55, rsp = 0x8000\n"
        "the stack is at 0x7ff8, 8 bytes written  <- the fault\n");
  CHECK(operands({0xe8, 0, 0, 0, 0}, fault) ==
        "rsp = 0x8000\n"
        "the stack is at 0x7ff8, 8 bytes written  <- the fault\n");
}

TEST_CASE("what a record does not hold is said to be unknown, not shown wrong") {
  Fault fault = fault_at(0);
  CHECK(operands({0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0x00, 0x00, 0x00}, fault) ==
        "qword ptr fs:[0x28] is 0x28 from the base of fs, which was not recorded, 8 bytes read\n");
  fault.registers.gpr[rdi] = 0x1001;
  fault.address = 0x1001;
  CHECK(operands({0x0f, 0x29, 0x07}, fault) ==  // movaps [rdi], xmm0
        "rdi = 0x1001, xmm0 was not recorded\n"
        "xmmword ptr [rdi] is at 0x1001, 16 bytes written  <- the fault\n");
}

TEST_CASE("after a jump out of the instruction rip no longer locates its operand") {
  Fault fault = fault_at(0);
  fault.kind = FaultKind::exec_violation;
  CHECK(operands({0xff, 0x15, 0x10, 0x00, 0x00, 0x00}, fault) ==
        "qword ptr [rip+0x10] is relative to the instruction, 8 bytes read\n");
}

TEST_CASE("lea computes an address and touches no memory") {
  CHECK(operands({0x48, 0x8d, 0x47, 0x08}, fault_at(0)) == "rdi = 0x7777777777777777\n");
}

}  // namespace
}  // namespace selfheal::report::test
