// Control flow: every way one block leads to another, or out of the region.
#include "emulator/block_cache.h"
#include "emulator/changing_code.h"
#include "emulator/clone.h"
#include "emulator/flags.h"
#include "emulator/guard.h"
#include "emulator/handlers.h"
#include "emulator/interpreter.h"
#include "emulator/machine.h"
#include "emulator/models.h"
#include "emulator/native_call.h"
#include "emulator/syscalls.h"

namespace selfheal::emulator {
namespace {

// A stack pointer set by other means than arithmetic still points into the stack of entry when it
// lies between the lowest place that stack has reached, less some, and the entry.
// Pushes, which are not tracked, take it less than a page lower. Beyond that it may be an array of
// variable size or a small stack that lies next to this one: nothing above rsp is then ours for
// sure.
constexpr u64 same_stack_reach = 64 * 1024;
constexpr u64 same_stack_sure = CallFrames::same_stack_sure;

// Not an address of user memory, or no address at all: then the jump itself faults, with rip where
// the jump is. Or code beyond 47 bits. The processor must make it.
bool is_nowhere(u64 target) {
  return target >> 47 != 0 && page_down(target) != vsyscall_page;
}

[[gnu::cold]] const Op* leave_to_nowhere(Thread& t) {
  return stop_here(t, Stop::unsupported, "a jump out of user memory");
}

// Ends the activation with control already transferred: guest.rip is `target`. Of nested ones,
// those that the stack pointer is above of.
[[gnu::cold]] const Op* leave(Thread& t, const Op& op, u64 target) {
  while (machine_of(t).nest.depth != 0 && t.guest.gpr[rsp] > t.entry_sp) {
    end_nested(t);
    if (t.guest.gpr[rsp] <= t.entry_sp && !machine_of(t).other_stack) {
      return go_to(t, op, target);
    }
  }
  const bool home = target == t.return_address && t.guest.gpr[rsp] == t.entry_sp + 8 &&
                    !machine_of(t).other_stack;
  t.guest.rip = target;
  machine_of(t).stop = home ? Stop::returned : Stop::left;
  return nullptr;
}

const Op* return_to_caller(Thread& t, const Op& op, u64 extra) {
  const u64 sp = t.guest.gpr[rsp];
  u64 target;
  if (!load<u64>(t, sp, target)) {
    return nullptr;
  }
  if (sp == t.entry_sp && !machine_of(t).other_stack && machine_of(t).nest.depth != 0)
      [[unlikely]] {
    end_nested(t);  // for the one around it, a return like any other
  } else if (sp == t.entry_sp && !machine_of(t).other_stack) {
    if (target != t.return_address) [[unlikely]] {
      return may_return(t, sp, target) ? stop_here(t, Stop::return_mismatch) : nullptr;
    }
    t.guest.gpr[rsp] = sp + 8 + extra;
    t.guest.rip = target;
    machine_of(t).stop = Stop::returned;
    return nullptr;
  }
  if (is_nowhere(target)) [[unlikely]] {
    return leave_to_nowhere(t);
  }
  CallFrames& calls = machine_of(t).calls;
  if (calls.frames[calls.depth].slot == sp && calls.frames[calls.depth].target == target &&
      calls.depth != 0) [[likely]] {
    calls.drop();
  } else if (calls.frames[calls.depth].slot <= sp && !may_return(t, sp, target)) {
    return nullptr;
  }
  t.guest.gpr[rsp] = sp + 8 + extra;
  return go_to(t, op, target);
}

// A computed branch could not be followed. Does it lead to data? Then it is at fault, before the
// processor would fetch there: nothing of it has happened, and rsp is `sp` again.
[[gnu::cold]] const Op* judge_target(Thread& t, u64 target, u64 sp) {
  if (machine_of(t).stop != Stop::unsupported || t.guest.rip != target ||
      config().is_data == nullptr) {
    return nullptr;
  }
  const VectorScope keep;
  if (config().is_data(target)) {
    t.guest.gpr[rsp] = sp;
    stop_with_fault(t, FaultKind::exec_violation, Access::execute, target);
  }
  return nullptr;
}

const Op* jump_computed(Thread& t, const Op& op, u64 target) {
  const u64 sp = t.guest.gpr[rsp];
  machine_of(t).calls.settle(sp);
  if (is_nowhere(target)) [[unlikely]] {
    return leave_to_nowhere(t);
  }
  const Op* next = go_to(t, op, target);
  return next != nullptr ? next : judge_target(t, target, sp);
}

const Op* call(Thread& t, const Op& op, u64 target) {
  if (is_nowhere(target)) [[unlikely]] {
    return leave_to_nowhere(t);
  }
  if (!push<u64>(t, op.next_rip())) {
    return nullptr;
  }
  machine_of(t).calls.enter(t.guest.gpr[rsp], op.next_rip());
  return go_to(t, op, target);
}

const Op* call_computed(Thread& t, const Op& op, u64 target) {
  const u64 sp = t.guest.gpr[rsp];
  const Op* next = call(t, op, target);
  return next != nullptr ? next : judge_target(t, target, sp);
}

template <unsigned Code>
const Op* jump_if(Thread& t, const Op& op) {
  return condition<Code>(t.guest.rflags) ? go_to(t, op, op.immediate) : &op + 1;
}

u64 count_down(Thread& t, const Op& op) {
  if (op.b == 4) {
    set<u32>(t, rcx * 8, get<u32>(t, rcx * 8) - 1);
  } else {
    --t.guest.gpr[rcx];
  }
  return t.guest.gpr[rcx];
}

}  // namespace

const Op* go_to(Thread& t, const Op& op, u64 target) {
  Machine& m = machine_of(t);
  if (t.guest.gpr[rsp] > t.entry_sp || m.other_stack) [[unlikely]] {
    return leave(t, op, target);
  }
  const Block* block = op.link.load(std::memory_order_acquire);
  if (block == nullptr || block->rip != target || !block->valid.load(std::memory_order_relaxed)) {
    t.guest.rip = target;
    block = find_block(t, target);
    if (block == nullptr) [[unlikely]] {
      return nullptr;  // find_block has said why
    }
    op.link.store(block, std::memory_order_release);
  }
  m.instructions += block->count;
  if (m.instructions > m.budget && !pause(t, target)) [[unlikely]] {
    m.instructions -= block->count;
    return nullptr;
  }
  return block->ops;
}

void note_stack(Thread& t) {
  Machine& m = machine_of(t);
  const u64 sp = t.guest.gpr[rsp];
  // Above the entry is outside the region (setcontext to a caller's frame), even where what follows
  // pushes something that looks like the return address.
  m.other_stack = sp > t.entry_sp || sp < m.stack_floor - same_stack_reach;
  m.elide_top = m.other_stack ? 0 : sp < m.stack_floor - same_stack_sure ? sp : t.entry_sp;
  m.calls.watch(m.elide_top != t.entry_sp || m.nest.depth != 0);
  if (!m.other_stack) {
    m.calls.moved(sp);
  }
}

Handler jump_if_handler(unsigned code) {
  static constexpr Handler table[] = {jump_if<0>,  jump_if<1>,  jump_if<2>,  jump_if<3>,
                                      jump_if<4>,  jump_if<5>,  jump_if<6>,  jump_if<7>,
                                      jump_if<8>,  jump_if<9>,  jump_if<10>, jump_if<11>,
                                      jump_if<12>, jump_if<13>, jump_if<14>, jump_if<15>};
  return table[code];
}

// A tail call leaves the frame behind without a return, perhaps by pops alone.
const Op* do_jump(Thread& t, const Op& op) {
  machine_of(t).calls.settle(t.guest.gpr[rsp]);
  return go_to(t, op, op.immediate);
}

const Op* do_jump_register(Thread& t, const Op& op) {
  return jump_computed(t, op, get<u64>(t, op.a));
}

const Op* do_jump_memory(Thread& t, const Op& op) {
  u64 target;
  return load<u64>(t, effective(t, op), target) ? jump_computed(t, op, target) : nullptr;
}

const Op* do_call(Thread& t, const Op& op) {
  return call(t, op, op.immediate);
}

const Op* do_call_register(Thread& t, const Op& op) {
  return call_computed(t, op, get<u64>(t, op.a));
}

const Op* do_call_memory(Thread& t, const Op& op) {
  u64 target;
  return load<u64>(t, effective(t, op), target) ? call_computed(t, op, target) : nullptr;
}

const Op* do_return(Thread& t, const Op& op) {
  return return_to_caller(t, op, op.immediate);
}

const Op* do_loop(Thread& t, const Op& op) {
  return count_down(t, op) != 0 ? go_to(t, op, op.immediate) : &op + 1;
}

const Op* do_loop_equal(Thread& t, const Op& op) {
  const bool equal = (t.guest.rflags & flag_zf) != 0;
  return count_down(t, op) != 0 && equal ? go_to(t, op, op.immediate) : &op + 1;
}

const Op* do_loop_not_equal(Thread& t, const Op& op) {
  const bool equal = (t.guest.rflags & flag_zf) != 0;
  return count_down(t, op) != 0 && !equal ? go_to(t, op, op.immediate) : &op + 1;
}

const Op* do_jump_if_zero_count(Thread& t, const Op& op) {
  const u64 count = op.b == 4 ? get<u32>(t, rcx * 8) : t.guest.gpr[rcx];
  return count == 0 ? go_to(t, op, op.immediate) : &op + 1;
}

const Op* do_fall_through(Thread& t, const Op& op) {
  return go_to(t, op, op.immediate);
}

// The kernel was given more room than there is, and has used it; that goes back with all the rest.
[[gnu::cold]] static const Op* stop_after_overwrite(Thread& t, const Op& op, u64 word) {
  stop_with_fault(t, FaultKind::stack_overwrite, Access::write, word);
  t.guest.rip = t.fault.registers.rip = op.next_rip();
  return nullptr;
}

const Op* do_system_call(Thread& t, const Op& op) {
  t.guest.rip = op.rip;
  const u64 number = t.guest.gpr[rax];
  if (t.is_rescue_point && turns_out_to_serve(machine_of(t).serving, number, t.guest.gpr[rdi]))
      [[unlikely]] {
    t.serves = true;
    return stop_here(t, Stop::unsupported, "a service loop");
  }
  const bool limited = config().time_budget != 0 && may_wait(number);
  if (limited && !begin_wait(t)) [[unlikely]] {
    return stop_late(t);
  }
  const EffectResult result = is_clone(t) ? clone_guest(t, op.next_rip()) : run_syscall(t);
  if (limited && !end_wait(t, number, result)) [[unlikely]] {
    return stop_late(t);
  }
  switch (result) {
    case EffectResult::done:
      if (changes_protection(static_cast<u32>(number))) [[unlikely]] {
        note_protection_call(t);
      }
      t.guest.gpr[rcx] = op.next_rip();
      t.guest.gpr[r11] = t.guest.rflags;
      if (const u64 word = damaged_frame(t); word != 0) [[unlikely]] {
        return stop_after_overwrite(t, op, word);
      }
      return go_to(t, op, op.next_rip());
    case EffectResult::log_full:
      return stop_here(t, Stop::log_full);
    case EffectResult::interrupted:
      return stop_here(t, Stop::signal);
    case EffectResult::fault:
      return stop_here(t, Stop::fault);
    default:
      return stop_here(t, Stop::unsupported, "a system call that must be made natively");
  }
}

const Op* do_model(Thread& t, const Op& op) {
  t.guest.rip = op.rip;
  switch (pointer_to<EffectResult(Thread&)>(op.immediate)(t)) {
    case EffectResult::done:
      return return_to_caller(t, op, 0);
    case EffectResult::interpret:
      return &op + 1;
    case EffectResult::fault:
      return stop_here(t, Stop::fault);
    case EffectResult::log_full:
      return stop_here(t, Stop::log_full);
    case EffectResult::interrupted:
      return stop_here(t, Stop::signal);
    case EffectResult::unsupported:
      break;
  }
  return stop_here(t, Stop::unsupported, "a library function that must run natively");
}

const Op* do_native_call(Thread& t, const Op& op) {
  t.guest.rip = op.rip;
  native_call(t, op.immediate);
  return return_to_caller(t, op, 0);
}

const Op* do_vsyscall(Thread& t, const Op& op) {
  t.guest.rip = op.rip;
  switch (run_vsyscall(t)) {
    case EffectResult::done:
      return return_to_caller(t, op, 0);
    case EffectResult::log_full:
      return stop_here(t, Stop::log_full);
    default:
      return stop_here(t, Stop::unsupported, "a vsyscall that fails");
  }
}

const Op* do_stack_grown(Thread& t, const Op& op) {
  Machine& m = machine_of(t);
  if (t.guest.gpr[rsp] < m.stack_floor && m.elide_top == t.entry_sp) {
    m.stack_floor = t.guest.gpr[rsp];
  }
  m.calls.settle(t.guest.gpr[rsp]);
  return &op + 1;
}

const Op* do_stack_changed(Thread& t, const Op& op) {
  note_stack(t);
  return &op + 1;
}

}  // namespace selfheal::emulator
