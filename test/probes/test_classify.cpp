#include <catch2/catch.hpp>
#include <string.h>

#include "probes/classify.h"

using namespace selfheal;
using namespace selfheal::probes;

namespace {

struct Seen {
  int signal = SIGSEGV;
  int code = SEGV_MAPERR;
  u64 address = 0;
  unsigned trap = 14;
  u64 error = 4;
  u64 rip = 0x555555555000;
  u64 rsp = 0x7fffffffe000;
  StackRange stack = {0x7ffffff00000, 0x7ffffffff000};

  Fault classify() const {
    siginfo_t info{};
    info.si_signo = signal;
    info.si_code = code;
    info.si_addr = pointer_to<void>(address);
    ucontext_t context{};
    greg_t* g = context.uc_mcontext.gregs;
    g[REG_TRAPNO] = trap;
    g[REG_ERR] = static_cast<greg_t>(error);
    g[REG_RIP] = static_cast<greg_t>(rip);
    g[REG_RSP] = static_cast<greg_t>(rsp);
    g[REG_R9] = 99;
    return probes::classify(info, context, stack);
  }
};

constexpr u64 write_error = 6;
constexpr u64 fetch_error = 0x14;

}  // namespace

TEST_CASE("page faults below 64 KiB are NULL accesses, read and written") {
  const Fault read = Seen{.address = 0x18}.classify();
  CHECK(read.kind == FaultKind::null_access);
  CHECK(read.access == Access::read);
  CHECK(read.address == 0x18);
  CHECK(read.trap == 14);
  CHECK(read.registers.gpr[r9] == 99);
  CHECK(read.registers.rip == 0x555555555000);
  CHECK(Seen{.address = 0x18, .error = write_error}.classify().access == Access::write);
  CHECK(Seen{.address = 0xffff}.classify().kind == FaultKind::null_access);
  CHECK(Seen{.address = 0x10000}.classify().kind == FaultKind::wild_access);
}

TEST_CASE("a protected page is a wild access too") {
  const Fault fault = Seen{.code = SEGV_ACCERR, .address = 0x555555554000, .error = 7}.classify();
  CHECK(fault.kind == FaultKind::wild_access);
  CHECK(fault.access == Access::write);
}

TEST_CASE("a general protection fault has no address and is wild") {
  const Fault fault = Seen{.code = SI_KERNEL, .trap = 13, .error = 0}.classify();
  CHECK(fault.kind == FaultKind::wild_access);
  CHECK(fault.address == 0);
  CHECK(fault.access == Access::none);
  const Fault by_stack_segment =
      Seen{.signal = SIGBUS, .code = SI_KERNEL, .trap = 12, .error = 0}.classify();
  CHECK(by_stack_segment.kind == FaultKind::wild_access);
}

TEST_CASE("an instruction fetch that fails is a violation, however it shows") {
  CHECK(Seen{.address = 0x555555559000, .error = fetch_error, .rip = 0x555555559000}
            .classify()
            .kind == FaultKind::exec_violation);
  CHECK(Seen{.address = 0, .error = 4, .rip = 0}.classify().kind == FaultKind::exec_violation);
  const Fault nowhere =
      Seen{.code = SI_KERNEL, .trap = 13, .error = 0, .rip = 0x1234567890abcdef}.classify();
  CHECK(nowhere.kind == FaultKind::exec_violation);
  CHECK(nowhere.access == Access::execute);
  CHECK(nowhere.address == 0x1234567890abcdef);
  CHECK(Seen{.trap = 21}.classify().kind == FaultKind::control_protection);
}

TEST_CASE("the end of the stack is told from a wild pointer by the stack pointer") {
  const u64 low = 0x7ffffff00ff8;
  CHECK(Seen{.address = low - 8, .error = write_error, .rsp = low}.classify().kind ==
        FaultKind::stack_exhaustion);
  CHECK(Seen{.address = low - 40000, .error = write_error, .rsp = low}.classify().kind ==
        FaultKind::stack_exhaustion);
  CHECK(Seen{.address = low - 0x200010, .error = write_error, .rsp = low - 0x200008}
            .classify()
            .kind == FaultKind::stack_exhaustion);  // a large frame, beyond the guard
  CHECK(Seen{.address = 0x7fffffeff800, .error = write_error, .rsp = low - 0x200008}
            .classify()
            .kind == FaultKind::stack_exhaustion);  // the guard, seen from deep below it
  CHECK(Seen{.address = 0x7ffffffff000, .rsp = 0x7fffffffe000}.classify().kind ==
        FaultKind::wild_access);  // beyond the stack's other end
  CHECK(Seen{.address = low - 0x8000010, .error = write_error, .rsp = low - 0x8000008}
            .classify()
            .kind == FaultKind::wild_access);  // the stack pointer is not near the stack
  CHECK(Seen{.address = low - 8, .rsp = low, .stack = {0, 0}}.classify().kind ==
        FaultKind::stack_exhaustion);
  CHECK(Seen{.address = low - 0x200000, .rsp = low}.classify().kind == FaultKind::wild_access);
  CHECK(Seen{.address = 8, .rsp = 16, .stack = {0, 0}}.classify().kind == FaultKind::null_access);
}

TEST_CASE("the processor's vector tells integer from floating-point faults") {
  const Seen divide{.signal = SIGFPE, .code = FPE_INTDIV, .address = 1, .trap = 0};
  CHECK(divide.classify().kind == FaultKind::divide);
  CHECK(divide.classify().address == 0);
  CHECK(Seen{.signal = SIGFPE, .code = FPE_FLTDIV, .trap = 19}.classify().kind ==
        FaultKind::floating_point);
  CHECK(Seen{.signal = SIGFPE, .code = FPE_FLTINV, .trap = 16}.classify().kind ==
        FaultKind::floating_point);
}

TEST_CASE("the other processor faults have their kinds") {
  CHECK(Seen{.signal = SIGILL, .code = ILL_ILLOPN, .trap = 6}.classify().kind ==
        FaultKind::illegal_instruction);
  const Fault bus =
      Seen{.signal = SIGBUS, .code = BUS_ADRERR, .address = 0x7ffff7000000}.classify();
  CHECK(bus.kind == FaultKind::bus);
  CHECK(bus.address == 0x7ffff7000000);
  CHECK(Seen{.signal = SIGBUS, .code = BUS_ADRALN, .trap = 17}.classify().kind == FaultKind::bus);
  CHECK(Seen{.signal = SIGSEGV, .code = SI_KERNEL, .trap = 4}.classify().kind ==
        FaultKind::other_signal);
}

TEST_CASE("what somebody sent is no fault, whatever the registers say") {
  for (const int code : {SI_USER, SI_TKILL, SI_QUEUE, SI_TIMER}) {
    const Fault fault = Seen{.code = code, .address = 8}.classify();
    CHECK(fault.kind == FaultKind::other_signal);
    CHECK(fault.trap == 0);
    CHECK(fault.address == 0);
    CHECK(fault.code == code);
  }
  siginfo_t later{};
  later.si_signo = SIGBUS;
  later.si_code = BUS_MCEERR_AO;
  CHECK_FALSE(synchronous(later));
}
