// The engine's outermost part: set-up, and the loop that walks decoded instructions.
#include "emulator/interpreter.h"

#include <cpuid.h>

#include "emulator/block_cache.h"
#include "emulator/copy_bytes.h"
#include "emulator/decode.h"
#include "emulator/flags.h"
#include "emulator/generated_code.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"
#include "emulator/thunk.h"
#include "emulator/vector_state.h"
#include "lib/base/fork_mark.h"

extern "C" void selfheal_call_with_escape(selfheal::emulator::Escape* out,
                                          void (*f)(selfheal::emulator::Thread*),
                                          selfheal::emulator::Thread* t);

namespace selfheal::emulator {
namespace {

constinit Config the_config{};
constinit bool is_started = false;
constinit ForkMark fork_mark;

void walk(Thread& t, const Op* op) {
  Machine& m = machine_of(t);
  while (op != nullptr) {
    m.op = op;
    op = op->handler(t, *op);
  }
}

void interpret(Thread* thread) {
  Thread& t = *thread;
  // An operation that is none: the first block is entered like any other.
  const Op start{};
  const_cast<u64&>(start.rip) = t.guest.rip;
  walk(t, go_to(t, start, t.guest.rip));
}

void go_on_unlogged(Thread* thread) {
  Thread& t = *thread;
  Machine& m = machine_of(t);
  m.unlogged = false;
  walk(t, run_unlogged(t, *m.op));
}

}  // namespace

const Config& config() {
  return the_config;
}

constinit u64 user_end = u64{1} << 47;

bool start(const Config& wanted, const char*& why) {
  if (vector_area_size() == 0) {
    why = "the processor or the system lacks XSAVE";
    return false;
  }
  copy_bytes(address_of(&the_config), address_of(&wanted), sizeof the_config);
  u32 a;
  u32 b;
  u32 c;
  u32 d;
  if (__get_cpuid(0x80000008, &a, &b, &c, &d) != 0) {
    user_end = u64{1} << (((a >> 8) & 0xff) - 1);
  }
  if (!start_generated_code(wanted.code_size, wanted.native_entry)) {
    why = "no memory for generated code";
    return false;
  }
  if (!start_blocks(wanted.block_memory)) {
    why = "no memory for decoded blocks";
    return false;
  }
  if (!fork_mark.start()) {
    why = "the system lacks MADV_WIPEONFORK";
    return false;
  }
  if (!start_decoder()) {
    why = "the decoder does not start";
    return false;
  }
  start_store_extents();
  is_started = true;
  return true;
}

bool started() {
  return is_started;
}

u64 enter_trampoline() {
  return trampolines().enter;
}

u64 suspended_trampoline() {
  return trampolines().suspended;
}

u64 resume_trampoline() {
  return trampolines().resume;
}

bool after_fork() {
  if (!fork_mark.begin_takeover()) {
    return true;
  }
  unlock_blocks();
  const bool detached = detach_generated_code();
  fork_mark.end_takeover();
  return detached;
}

const Op* stop_here(Thread& t, Stop stop, const char* reason) {
  Machine& m = machine_of(t);
  m.stop = stop;
  m.reason = reason;
  t.guest.rip = m.op->rip;
  return nullptr;
}

const Op* stop_with_fault(Thread& t, FaultKind kind, Access access, u64 address) {
  stop_here(t, Stop::fault);
  clear_fault(t.fault);
  t.fault.kind = kind;
  t.fault.access = access;
  t.fault.address = address;
  copy_registers(t.fault.registers, t.guest);
  return nullptr;
}

bool leave_for_rseq(Thread& t) {
  stop_here(t, Stop::unsupported, "a restartable sequence");
  return false;
}

bool heap_allows(Thread& t, u64 address, u64 size, Access access) {
  const FaultKind kind = heap_view.check(address, size, access == Access::write);
  if (kind == FaultKind::none) {
    return true;
  }
  stop_with_fault(t, kind, access, address);
  return false;
}

bool log_range(Thread& t, u64 address, u64 size) {
  if (size == 0 || address >= user_end) {
    return true;
  }
  if (guarded_in(t, address, size) != 0 && !may_overwrite(t, address, size)) [[unlikely]] {
    return false;
  }
  if (own_frame(t, address, size)) {
    return true;
  }
  if (heap_view.holds(address) && !heap_allows(t, address, size, Access::write)) {
    return false;
  }
  const Saving guard(machine_of(t));
  // A page at a time: should the next one not be readable, the instruction faults, but some have
  // written what lies before it (enter, xsave, those the kernel emulates).
  while (size != 0) {
    const u64 rest = page_down(address) + page_size - address;
    const u64 piece = size < rest ? size : rest;
    if (!t.log.save(address, piece)) {
      stop_here(t, Stop::log_full);
      return false;
    }
    address += piece;
    size -= piece;
  }
  return true;
}

u64 gs_base() {
  u64 base;
  asm volatile("rdgsbase %0" : "=r"(base));
  return base;
}

namespace {

Outcome go_on(Thread& t) {
  Machine& m = machine_of(t);
  const Op entry{};
  m.op = &entry;
  m.saving = m.unlogged = m.fetching = m.decoding = false;
  m.stop = Stop::left;
  m.reason = nullptr;
  set_checkpoint(t);
  t.escaped = false;
  t.state = ThreadState::running;
  selfheal_call_with_escape(&t.escape, interpret, &t);
  while (m.unlogged) {
    selfheal_call_with_escape(&t.escape, go_on_unlogged, &t);
  }
  t.state = ThreadState::busy;
  if (m.decoding) {  // left in the middle: reading the code bytes faulted
    abandon_decoding(m);
    m.stop = Stop::unsupported;
    m.reason = "code that cannot be read";
  }
  m.op = nullptr;
  return {m.stop, m.instructions, m.reason};
}

}  // namespace

Outcome run(Thread& t) {
  if ((t.guest.rflags & (flag_tf | flag_ac)) != 0) {
    return {Stop::unsupported, 0, "the trap or the alignment-check flag is set"};
  }
  Machine& m = machine_of(t);
  m.elide_top = t.entry_sp;
  m.stack_floor = t.guest.gpr[rsp];
  m.other_stack = false;
  m.instructions = 0;
  m.nest.depth = 0;
  m.nest.come_to = t.region_index;
  forget(m.serving);
  m.deadline = 0;
  const u64 limit = t.instruction_limit != 0 ? t.instruction_limit : the_config.instruction_budget;
  m.limit = limit != 0 ? limit : ~u64{0};
  asm("mov %%fs:0, %0" : "=r"(m.fs_base));
  begin_frames(t);
  m.rseq_cs = the_config.rseq_cs_offset != 0 ? m.fs_base + the_config.rseq_cs_offset : 0;
  return go_on(t);
}

Outcome resume(Thread& t) {
  note_stack(t);
  return go_on(t);
}

u64 instructions_so_far() {
  const Thread& t = this_thread;
  const bool outside = t.state == ThreadState::absent || t.state == ThreadState::idle;
  return outside ? 0 : static_cast<const Machine*>(t.scratch)->instructions;
}

}  // namespace selfheal::emulator
