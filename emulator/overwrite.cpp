// Stores onto guarded words, and returns that do not match: which are on purpose (call_frames.h).
#include "emulator/call_frames.h"
#include "emulator/guard.h"
#include "emulator/handlers.h"
#include "emulator/interpreter.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

// No canary ever has its lowest byte set: that one is NUL, to stop string functions.
constexpr u64 no_canary = ~u64{0};

bool is_frame_register(u8 offset) {
  return offset == rsp * 8 || offset == rbp * 8;
}

// rsp or rbp and a constant: the code says which word it means.
bool names_its_word(const Op& op) {
  return is_frame_register(op.base) && op.index == no_register;
}

// Nothing in its block follows such an operation.
bool ends_block(const Op& op) {
  for (const Handler last :
       {do_fall_through, do_jump, do_jump_register, do_jump_memory, do_call, do_call_register,
        do_call_memory, do_return, do_system_call, do_undefined, do_unsupported}) {
    if (op.handler == last) {
      return true;
    }
  }
  return false;
}

// Does the straight line behind `op` take rsp from a register that is not rbp (or from memory)?
// Then all frames below are about to be left: __builtin_eh_return, libunwind's jumpto.
bool abandons_frames(const Op& op) {
  const Op* at = &op;
  while (!ends_block(*at) && at[1].handler != do_stack_changed) {
    ++at;
  }
  const bool by_frame_pointer = at->handler == do_leave || at->base == rbp * 8 ||
                                (at->handler == mov_handler(Form::rr, 8) && at->b == rbp * 8);
  return !ends_block(*at) && !by_frame_pointer;
}

// All of the word, by a value that is an address of code?
bool stores_text_address(Thread& t, const Op& op) {
  if (op.handler != mov_handler(Form::mr, 8) || config().is_text == nullptr) {
    return false;
  }
  const VectorScope keep;
  return config().is_text(get<u64>(t, op.b));
}

bool stores_canary(Thread& t, const Op& op, u64 address, u64 size) {
  const CallFrames& calls = machine_of(t).calls;
  return size == 8 &&
         calls.guard[CallFrames::cell_of(address)] == (address | CallFrames::is_canary) &&
         op.handler == mov_handler(Form::mr, 8) && get<u64>(t, op.b) == calls.canary;
}

}  // namespace

void begin_frames(Thread& t) {
  Machine& m = machine_of(t);
  CallFrames& calls = m.calls;
  while (calls.depth != 0) {
    calls.drop();
  }
  calls.drop();
  calls.depth = 0;
  calls.frames[0] = {t.entry_sp, t.return_address, 0};
  calls.protect(t.entry_sp, CallFrames::is_return);
  const u64 canary = raw_load<u64>(m.fs_base + canary_offset);
  calls.canary = canary != 0 ? canary : no_canary;
  calls.canary_register = no_register;
  calls.entry_sp = calls.lowest_sp = t.entry_sp;
  calls.watch(false);
}

bool may_overwrite(Thread& t, u64 address, u64 size) {
  Machine& m = machine_of(t);
  const u64 word = guarded_in(t, address, size);
  if (word == 0) {
    return true;
  }
  const Op& op = *m.op;
  if (stores_canary(t, op, address, size)) {
    return true;
  }
  if (size == 8 && address == word && m.calls.guarded(word)) {
    if (names_its_word(op) || abandons_frames(op)) {
      m.calls.guard[CallFrames::cell_of(word)] = 0;
      return true;
    }
    if (stores_text_address(t, op)) {
      return true;
    }
  }
  stop_with_fault(t, FaultKind::stack_overwrite, Access::write, word);
  return false;
}

bool may_return(Thread& t, u64 sp, u64 target) {
  if (machine_of(t).other_stack) {
    return true;  // above the entry, or elsewhere: no call of the region's has pushed the word
  }
  CallFrames& calls = machine_of(t).calls;
  calls.settle(sp);
  const CallFrame& frame = calls.frames[calls.depth];
  if (frame.slot == sp && frame.target != target && calls.guarded(sp)) {
    stop_with_fault(t, FaultKind::return_mismatch, Access::execute, target);
    return false;
  }
  if (frame.slot == sp && calls.depth != 0) {
    calls.drop();
  }
  return true;
}

void note_canary_load(Thread& t, const Op& op) {
  CallFrames& calls = machine_of(t).calls;
  calls.canary_register = op.a;
  calls.canary_frame = calls.frames[calls.depth].slot;
}

void note_canary(Thread& t, const Op& op, u64 address) {
  CallFrames& calls = machine_of(t).calls;
  if (op.b != calls.canary_register || !names_its_word(op) || address % 8 != 0 ||
      !own_frame(t, address, 8)) {
    return;
  }
  calls.canary_register = no_register;
  calls.settle(t.guest.gpr[rsp]);
  CallFrame& frame = calls.frames[calls.depth];
  if (frame.slot != calls.canary_frame) {
    return;
  }
  if (address >= t.guest.gpr[rsp] && address < frame.slot) {
    calls.drop_canary();
    frame.canary = address;
    calls.protect(address, CallFrames::is_canary);
  }
}

}  // namespace selfheal::emulator
