#include <catch2/catch.hpp>
#include <csignal>
#include <string>
#include <vector>

#include "lib/report/sentence.h"

namespace selfheal::report {
namespace {

std::string said(const Fault& fault, const std::vector<u8>& bytes = {}) {
  char buffer[256];
  Text text(buffer, sizeof buffer);
  say_fault(fault, bytes.data(), bytes.size(), text);
  return text.c_str();
}

Fault fault_of(FaultKind kind, Access access, u64 address, u8 trap, u64 error_code, i32 code) {
  Fault fault{};
  fault.kind = kind;
  fault.access = access;
  fault.address = address;
  fault.trap = trap;
  fault.error_code = error_code;
  fault.code = code;
  return fault;
}

TEST_CASE("NULL pointers are named as such") {
  CHECK(said(fault_of(FaultKind::null_access, Access::write, 0, 14, 6, 1)) ==
        "wrote to a NULL pointer");
  CHECK(said(fault_of(FaultKind::null_access, Access::read, 0x20, 14, 4, 1)) ==
        "read from address 0x20, a NULL pointer plus 32");
}

TEST_CASE("wild accesses say why the address was bad") {
  CHECK(said(fault_of(FaultKind::wild_access, Access::read, 0xabc000, 14, 4, 1)) ==
        "read from address 0xabc000, where nothing is mapped");
  CHECK(said(fault_of(FaultKind::wild_access, Access::write, 0xabc000, 14, 7, 2)) ==
        "wrote to address 0xabc000, which its memory protection forbids");
  CHECK(said(fault_of(FaultKind::wild_access, Access::read, 0x4141414141414141, 13, 0, 128)) ==
        "read from address 0x4141414141414141, which no address space has (not canonical)");
}

TEST_CASE("a division is told apart by its divisor") {
  Fault fault = fault_of(FaultKind::divide, Access::none, 0, 0, 0, FPE_INTDIV);
  fault.registers.gpr[rcx] = 0xffffffff00000000;
  CHECK(said(fault, {0xf7, 0xf9}) == "divided an integer by zero");  // only ecx counts
  CHECK(said(fault, {0x48, 0xf7, 0xf9}) ==
        "divided integers with a quotient too large for its register");
  CHECK(said(fault, {0xf7, 0x3f}) ==
        "divided an integer by zero, or with a quotient too large for its register");
}

TEST_CASE("the other kinds have their sentences") {
  CHECK(said(fault_of(FaultKind::illegal_instruction, Access::none, 0, 6, 0, 2), {0x0f, 0x0b}) ==
        "reached ud2, the compiler's mark for code that must never run");
  CHECK(said(fault_of(FaultKind::bus, Access::read, 0x5000, 14, 4, BUS_ADRERR)) ==
        "read from address 0x5000, beyond the end of a mapped file");
  CHECK(said(fault_of(FaultKind::floating_point, Access::none, 0, 19, 0, FPE_FLTINV)) ==
        "raised a floating-point exception it had unmasked (invalid operation)");
  CHECK(said(fault_of(FaultKind::exec_violation, Access::execute, 0x1234, 14, 0x14, 1)) ==
        "jumped to address 0x1234, which is not executable code");
  CHECK(said(fault_of(FaultKind::stack_exhaustion, Access::write, 0x7ffe0000, 14, 6, 1)) ==
        "ran out of stack: it touched the guard area at 0x7ffe0000");
  CHECK(said(fault_of(FaultKind::time_out, Access::none, 0, 0, 0, 0)) ==
        "did not end within its budget");
  CHECK(said(fault_of(static_cast<FaultKind>(77), Access::none, 0, 0, 0, 0)) ==
        "had a fault of an unknown kind (77)");
}

}  // namespace
}  // namespace selfheal::report
