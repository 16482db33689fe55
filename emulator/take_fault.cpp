// A processor fault while the engine runs: whose it is, and the way out.
//
// The guest's registers are in memory and still those of before the instruction (machine.h), its
// vector registers are those of the fault's moment, which is what the architecture says (a gather
// keeps the lanes it has done). Only a repeated string instruction has progressed in registers.
#include "emulator/engine.h"
#include "emulator/generated_code.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"
#include "emulator/thunk.h"

extern "C" [[noreturn]] void selfheal_jump_to_escape(const selfheal::emulator::Escape* e);

namespace selfheal::emulator {
namespace {

constexpr u8 trap_divide = 0;
constexpr u8 trap_stack = 12;
constexpr u8 trap_protection = 13;
constexpr u8 trap_page_fault = 14;
constexpr u64 error_write = 2;
constexpr u64 error_fetch = 16;

u64 reg(const ucontext_t& c, int index) {
  return static_cast<u64>(c.uc_mcontext.gregs[index]);
}

FaultKind kind_of(int signal, const siginfo_t& info, u64 trap) {
  switch (signal) {
    case SIGBUS:
      return FaultKind::bus;
    case SIGILL:
      return FaultKind::illegal_instruction;
    case SIGFPE:
      return trap == trap_divide ? FaultKind::divide : FaultKind::floating_point;
    default:
      return trap == trap_page_fault && address_of(info.si_addr) < null_page_end
                 ? FaultKind::null_access
                 : FaultKind::wild_access;
  }
}

void fill_fault(Thread& t, int signal, const siginfo_t& info, const ucontext_t& c) {
  const Machine& m = machine_of(t);
  const u64 trap = reg(c, REG_TRAPNO);
  Fault& f = t.fault;
  f = Fault{};
  f.kind = kind_of(signal, info, trap);
  f.signal = static_cast<u8>(signal);
  f.trap = static_cast<u8>(trap);
  f.code = info.si_code;
  f.error_code = reg(c, REG_ERR);
  if (signal == SIGSEGV || signal == SIGBUS) {
    f.address = address_of(info.si_addr);
    // The undo log's read of the old value stands for the guest's store.
    if (m.saving && trap == trap_page_fault) {
      f.error_code |= error_write;
    }
    f.access = trap != trap_page_fault             ? (m.saving ? Access::write : Access::none)
               : (f.error_code & error_fetch) != 0 ? Access::execute
               : (f.error_code & error_write) != 0 ? Access::write
                                                   : Access::read;
  } else if (signal == SIGFPE || signal == SIGILL) {
    f.address = 0;
  }
}

bool is_canonical(u64 address) {
  return address + user_end < 2 * user_end && address + 8 + user_end < 2 * user_end;
}

// Did an address through SS fault? With an operand and the stack both in play, the one that is not
// canonical; push and call look at their operand first, pop at the stack.
bool through_stack(Thread& t, const Op& op) {
  const bool operand = op.base != no_register || op.index != no_register || op.displacement != 0;
  if (!op.uses_stack || !operand) {
    return op.uses_stack || op.stack_segment;
  }
  const bool pops = op.handler == pop_handler(Form::m, 8) || op.handler == pop_handler(Form::m, 2);
  if (pops ? !is_canonical(t.guest.gpr[rsp]) : is_canonical(effective(t, op))) {
    return true;
  }
  return op.stack_segment;
}

// An address that is not canonical is #SS when addressed through SS, #GP otherwise (SDM vol. 1,
// 3.3.7.1). A handler's own instruction may have used another base than the guest's.
void set_segment_trap(Thread& t, const Op& op) {
  const bool misaligned =
      op.handler == compare_exchange_pair_handler(8) && (effective(t, op) & 15) != 0;
  const bool stack = through_stack(t, op) && !misaligned;
  Fault& f = t.fault;
  f.trap = stack ? trap_stack : trap_protection;
  f.signal = stack ? SIGBUS : SIGSEGV;
  f.kind = stack ? FaultKind::bus : FaultKind::wild_access;
}

// A repeated string instruction has got as far as its registers say.
void keep_progress(Thread& t, const ThunkOp& thunk, const ucontext_t& c) {
  if (thunk.repeats) {
    t.guest.gpr[rcx] = reg(c, REG_RCX) + machine_of(t).rep_rest;
  }
  if (thunk.reads_source) {
    t.guest.gpr[rsi] = reg(c, REG_RSI);
  }
  if (thunk.uses_destination) {
    t.guest.gpr[rdi] = reg(c, REG_RDI);
  }
}

void set_reg(ucontext_t& c, int index, u64 value) {
  c.uc_mcontext.gregs[index] = static_cast<greg_t>(value);
}

}  // namespace

bool take_fault(int signal, const siginfo_t& info, ucontext_t& c) {
  Thread& t = this_thread;
  if (t.state != ThreadState::running || info.si_code <= 0) {
    return false;  // not the guest's, or sent by somebody
  }
  Machine& m = machine_of(t);
  if (m.decoding && !m.fetching) {
    return false;
  }
  fill_fault(t, signal, info, c);
  if (m.op != nullptr && !m.decoding) {
    if (m.op->handler == do_string && in_generated_code(reg(c, REG_RIP))) {
      keep_progress(t, *m.op->thunk, c);
    }
    m.unlogged = m.saving && is_executed_by_processor(*m.op);
    if ((t.fault.trap == trap_stack || t.fault.trap == trap_protection) &&
        !in_generated_code(reg(c, REG_RIP))) {
      set_segment_trap(t, *m.op);
    }
    t.guest.rip = m.op->rip;
    m.stop = Stop::fault;
    if (m.op->handler == do_verify_code) {  // nothing of the guest's: the processor shall fetch it
      m.stop = Stop::unsupported;
      m.reason = "code that cannot be read";
    }
  }
  t.fault.registers = t.guest;
  t.escaped = true;
  m.saving = false;
  m.rep_rest = 0;
  set_reg(c, REG_RBX, t.escape.rbx);
  set_reg(c, REG_RBP, t.escape.rbp);
  set_reg(c, REG_R12, t.escape.r12);
  set_reg(c, REG_R13, t.escape.r13);
  set_reg(c, REG_R14, t.escape.r14);
  set_reg(c, REG_R15, t.escape.r15);
  set_reg(c, REG_RSP, t.escape.rsp);
  set_reg(c, REG_RIP, t.escape.rip);
  constexpr u64 direction_flag = 1U << 10;
  set_reg(c, REG_EFL, reg(c, REG_EFL) & ~direction_flag);
  return true;
}

void resume_without_sigreturn(const ucontext_t& c) {
  // The signal frame's vector state is an XSAVE area in the standard format, 64-byte aligned; its
  // extent is in the frame's software bytes (<asm/sigcontext.h>, FP_XSTATE_MAGIC1).
  const auto* area = reinterpret_cast<const u8*>(c.uc_mcontext.fpregs);
  if (area != nullptr) {
    constexpr u32 magic = 0x46505853;
    constexpr u64 software_bytes = 464;
    u32 found;
    __builtin_memcpy(&found, area + software_bytes, sizeof found);
    if (found == magic) {
      u64 features;
      __builtin_memcpy(&features, area + software_bytes + 8, sizeof features);
      asm volatile("xrstor64 (%0)"
                   :
                   : "r"(area), "a"(static_cast<u32>(features)),
                     "d"(static_cast<u32>(features >> 32))
                   : "memory");
    } else {
      asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
    }
  }
  selfheal_jump_to_escape(&this_thread.escape);
}

}  // namespace selfheal::emulator
