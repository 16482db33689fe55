#include "emulator/nest.h"

#include "emulator/handlers.h"
#include "emulator/interpreter.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

bool runs_already(const Thread& t, const Nest& nest, u64 index) {
  if (t.region_index == index) {
    return true;
  }
  for (u32 i = 0; i < nest.depth; ++i) {
    if (nest.outer[i].region_index == index) {
      return true;
    }
  }
  return false;
}

// Called, and not jumped to from somewhere inside; on the stack of entry, near its end: so that
// what lies above its return address is known to be its callers'.
bool begins_a_call(Thread& t) {
  Machine& m = machine_of(t);
  const u64 sp = t.guest.gpr[rsp];
  m.calls.settle(sp);
  return sp < t.entry_sp && !m.other_stack && m.elide_top == t.entry_sp && m.calls.depth != 0 &&
         m.calls.frames[m.calls.depth].slot == sp;
}

void keep(const Thread& t, const Machine& m, Outer& outer) {
  outer.entry_sp = t.entry_sp;
  outer.return_address = t.return_address;
  outer.region_index = t.region_index;
  outer.come_to = m.nest.come_to;
  copy_registers(outer.checkpoint, t.checkpoint);
  outer.checkpoint_mxcsr = t.checkpoint_mxcsr;
  outer.checkpoint_x87_control = t.checkpoint_x87_control;
  outer.limit = m.limit;
  outer.begun_at = m.instructions;
}

void bring_back(Thread& t, Machine& m, const Outer& outer) {
  t.entry_sp = outer.entry_sp;
  t.return_address = outer.return_address;
  t.region_index = outer.region_index;
  m.nest.come_to = outer.come_to;
  copy_registers(t.checkpoint, outer.checkpoint);
  t.checkpoint_mxcsr = outer.checkpoint_mxcsr;
  t.checkpoint_x87_control = outer.checkpoint_x87_control;
  m.limit = outer.limit;
}

void begin(Thread& t, u64 index, u64 entry) {
  Machine& m = machine_of(t);
  Outer& outer = m.nest.outer[m.nest.depth++];
  keep(t, m, outer);
  outer.mark = t.log.begin_nested();
  t.region_index = index;
  m.nest.come_to = index;
  t.entry_sp = t.guest.gpr[rsp];
  t.return_address = raw_load<u64>(t.entry_sp);
  copy_registers(t.checkpoint, t.guest);
  t.checkpoint.rip = entry;
  asm volatile("stmxcsr %0" : "=m"(t.checkpoint_mxcsr));
  asm volatile("fnstcw %0" : "=m"(t.checkpoint_x87_control));
  m.elide_top = t.entry_sp;
  m.calls.watch(true);
  const u64 own = config().nested_limit(index);
  if (own != 0) {
    m.limit = m.instructions + own;
  }
  set_checkpoint(t);
}

void drop(Thread& t) {
  Machine& m = machine_of(t);
  const Outer& outer = m.nest.outer[--m.nest.depth];
  bring_back(t, m, outer);
  t.log.end_nested(outer.mark);
  note_stack(t);
  set_checkpoint(t);
}

}  // namespace

const Op* do_enter_region(Thread& t, const Op& op) {
  Machine& m = machine_of(t);
  if (config().checks_natively != nullptr && config().checks_natively(op.immediate)) {
    return t.is_rescue_point
               ? stop_here(t, Stop::unsupported, "a function whose entry checks the stack")
               : &op + 1;
  }
  if (t.guest.gpr[rsp] == t.entry_sp && !m.other_stack) {
    m.nest.come_to = op.immediate;
  } else if (m.nest.depth < Nest::capacity && begins_a_call(t) &&
             !runs_already(t, m.nest, op.immediate)) {
    begin(t, op.immediate, op.rip);
  }
  return &op + 1;
}

void end_nested(Thread& t) {
  const Machine& m = machine_of(t);
  const u64 taken = m.instructions - m.nest.outer[m.nest.depth - 1].begun_at;
  config().nested_ended(t.region_index, taken);
  drop(t);
}

u32 nesting(const Thread& t) {
  return static_cast<const Machine*>(t.scratch)->nest.depth;
}

u64 region_at_level(const Thread& t, u32 outwards) {
  const Nest& nest = static_cast<const Machine*>(t.scratch)->nest;
  return outwards == 0 ? t.region_index : nest.outer[nest.depth - outwards].region_index;
}

u64 come_to_at_level(const Thread& t, u32 outwards) {
  const Nest& nest = static_cast<const Machine*>(t.scratch)->nest;
  return outwards == 0 ? nest.come_to : nest.outer[nest.depth - outwards].come_to;
}

CallState call_at_level(const Thread& t, u32 outwards) {
  if (outwards == 0) {
    return {&t.checkpoint, t.return_address};
  }
  const Nest& nest = static_cast<const Machine*>(t.scratch)->nest;
  const Outer& outer = nest.outer[nest.depth - outwards];
  return {&outer.checkpoint, outer.return_address};
}

RollbackResult roll_back(Thread& t, u32 outwards) {
  Machine& m = machine_of(t);
  for (; outwards != 0; --outwards) {
    bring_back(t, m, m.nest.outer[--m.nest.depth]);
  }
  if (m.nest.depth == 0) {
    return t.log.rollback();
  }
  const Outer& around = m.nest.outer[m.nest.depth - 1];
  m.instructions = around.begun_at;
  return t.log.back_to_nested(around.mark);
}

void limit_from_here(Thread& t, u64 instructions, u32 outwards) {
  Machine& m = machine_of(t);
  m.limit = m.instructions + instructions;
  for (u32 i = 1; i <= outwards; ++i) {
    m.nest.outer[m.nest.depth - i].limit = m.limit;
  }
}

Outcome go_on_nested(Thread& t) {
  drop(t);
  return resume(t);
}

}  // namespace selfheal::emulator
