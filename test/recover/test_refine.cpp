// What instructions say about faults that the kernel describes badly. Made-up registers, real
// bytes.
#include <catch2/catch.hpp>
#include <csignal>
#include <vector>

#include "lib/recover/diagnose.h"

using namespace selfheal;

namespace {

constexpr u64 non_canonical = 0xdead000000001000;

Fault protection_fault() {
  Fault fault{};
  fault.signal = SIGSEGV;
  fault.trap = 13;
  fault.code = 128;  // SI_KERNEL
  fault.kind = FaultKind::null_access;
  fault.registers.rip = 0x401000;
  return fault;
}

Fault page_fault(u64 address, u64 error_code) {
  Fault fault{};
  fault.signal = SIGSEGV;
  fault.trap = 14;
  fault.code = SEGV_MAPERR;
  fault.address = address;
  fault.error_code = error_code;
  fault.registers.rip = 0x401000;
  return fault;
}

}  // namespace

TEST_CASE("a non-canonical access gets its address and kind from the operand", "[refine]") {
  Fault fault = protection_fault();
  fault.registers.gpr[rbx] = non_canonical;
  fault.registers.gpr[rcx] = 2;
  struct Row {
    std::vector<u8> bytes;
    u64 address;
    Access access;
  };
  const Row rows[] = {
      {{0x8b, 0x43, 0x10}, non_canonical + 0x10, Access::read},  // mov eax, [rbx+16]
      {{0x89, 0x04, 0x8b}, non_canonical + 8, Access::write},    // mov [rbx+rcx*4], eax
      {{0x83, 0x03, 0x01}, non_canonical, Access::write},        // add dword [rbx], 1
      {{0x39, 0x03}, non_canonical, Access::read},               // cmp [rbx], eax
      {{0xc5, 0xfe, 0x6f, 0x03}, non_canonical, Access::read},   // vmovdqu ymm0, [rbx]
      {{0xff, 0x13}, non_canonical, Access::read},               // call [rbx]
  };
  for (const Row& row : rows) {
    const Fault refined = recover::refine(fault, row.bytes);
    CHECK(refined.kind == FaultKind::wild_access);
    CHECK(refined.address == row.address);
    CHECK(refined.access == row.access);
  }
}

TEST_CASE("string instructions are judged by the operand that is bad", "[refine]") {
  Fault fault = protection_fault();
  const u8 movsb[] = {0xf3, 0xa4};
  fault.registers.gpr[rsi] = 0x1000;
  fault.registers.gpr[rdi] = non_canonical;
  CHECK(recover::refine(fault, movsb).access == Access::write);
  std::swap(fault.registers.gpr[rsi], fault.registers.gpr[rdi]);
  CHECK(recover::refine(fault, movsb).access == Access::read);
  CHECK(recover::refine(fault, movsb).address == non_canonical);
}

TEST_CASE("a misaligned vector access, a bad branch and a privileged instruction are told apart",
          "[refine]") {
  Fault fault = protection_fault();
  fault.registers.gpr[rax] = 0x7fff00000008;
  const u8 movaps[] = {0x0f, 0x29, 0x00};  // movaps [rax], xmm0
  Fault refined = recover::refine(fault, movaps);
  CHECK(refined.kind == FaultKind::wild_access);
  CHECK(refined.access == Access::write);
  CHECK(refined.address == 0x7fff00000008);

  fault.registers.gpr[rax] = non_canonical;
  const u8 call[] = {0xff, 0xd0};  // call rax
  refined = recover::refine(fault, call);
  CHECK(refined.kind == FaultKind::exec_violation);
  CHECK(refined.address == non_canonical);

  fault.registers.gpr[rax] = 0x7fff00000004;
  const u8 call_through[] = {0xff, 0x50, 0x20};  // call [rax + 0x20]
  const u8 jump_through[] = {0xff, 0x60, 0x20};
  CHECK(recover::refine(fault, call_through).kind == FaultKind::exec_violation);
  CHECK(recover::refine(fault, jump_through).kind == FaultKind::exec_violation);
  fault.registers.gpr[rax] = non_canonical;  // the pointer itself cannot be read
  refined = recover::refine(fault, call_through);
  CHECK(refined.kind == FaultKind::wild_access);
  CHECK(refined.address == non_canonical + 0x20);

  fault.registers.gpr[rsp] = 0x7fff00000000;
  const u8 ret[] = {0xc3};
  CHECK(recover::refine(fault, ret).kind == FaultKind::return_mismatch);

  const u8 hlt[] = {0xf4};
  CHECK(recover::refine(fault, hlt).kind == FaultKind::illegal_instruction);
}

TEST_CASE("a page fault's error code says read, write or fetch", "[refine]") {
  const u8 load[] = {0x8b, 0x00};
  Fault refined = recover::refine(page_fault(0x18, 4), load);
  CHECK(refined.kind == FaultKind::null_access);
  CHECK(refined.access == Access::read);
  refined = recover::refine(page_fault(0x18, 6), load);
  CHECK(refined.access == Access::write);
  refined = recover::refine(page_fault(0x7f0000000000, 6), load);
  CHECK(refined.kind == FaultKind::wild_access);
  refined = recover::refine(page_fault(0x401000, 0x14), load);
  CHECK(refined.kind == FaultKind::exec_violation);
  CHECK(refined.access == Access::execute);
  refined = recover::refine(page_fault(0x401000, 4), {});  // no NX reporting: address is rip
  CHECK(refined.kind == FaultKind::exec_violation);
  Fault exhausted = page_fault(0x7ffc00000ff8, 6);
  exhausted.kind = FaultKind::stack_exhaustion;
  CHECK(recover::refine(exhausted, load).kind == FaultKind::stack_exhaustion);
}

TEST_CASE("the integer divider is told from the floating-point unit", "[refine]") {
  Fault fault{};
  fault.signal = SIGFPE;
  fault.code = FPE_INTDIV;
  const u8 idiv[] = {0xf7, 0xf9};
  CHECK(recover::refine(fault, idiv).kind == FaultKind::divide);
  fault.trap = 19;
  fault.code = FPE_FLTDIV;
  const u8 divss[] = {0xf3, 0x0f, 0x5e, 0xc1};
  CHECK(recover::refine(fault, divss).kind == FaultKind::floating_point);
}

TEST_CASE("a signal that somebody sent is left alone", "[refine]") {
  Fault fault{};
  fault.signal = SIGSEGV;
  fault.code = SI_TKILL;
  fault.kind = FaultKind::other_signal;
  const u8 load[] = {0x8b, 0x00};
  CHECK(recover::refine(fault, load).kind == FaultKind::other_signal);
}

TEST_CASE("an alignment check tells the address no more than a protection fault", "[refine]") {
  Fault fault = protection_fault();
  fault.signal = SIGBUS;
  fault.code = BUS_ADRALN;
  fault.trap = 17;
  fault.kind = FaultKind::bus;
  fault.registers.gpr[rdi] = 0x7f0000000003;
  const std::vector<u8> load = {0x8b, 0x47, 0x04};  // mov eax, [rdi+4]
  const Fault refined = recover::refine(fault, load);
  CHECK(refined.kind == FaultKind::bus);
  CHECK(refined.address == 0x7f0000000007);
  CHECK(refined.access == Access::read);
}
