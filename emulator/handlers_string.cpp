// String instructions: executed by the processor (a thunk each), a page at a time.
//
//   rep movs:  rcx = 5000 ──► chunks that touch one page of the source and one of the destination:
//              log the chunk's bytes, run `rep movs` on the chunk, go on with the rest
//
// A chunk either faults at its first iteration or not at all (but for other threads that unmap it),
// so the log never holds more than was written; and a fault's partial state is the processor's own:
// take_fault adds the iterations of the later chunks to its rcx.
#include <algorithm>

#include "emulator/flags.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"
#include "emulator/thunk.h"

namespace selfheal::emulator {
namespace {

// How many elements from `address` on lie in its page; at least one, which may cross its end.
u64 elements_in_page(u64 address, u64 size, bool down) {
  const u64 page = page_down(address);
  if (down) {
    return address + size <= page + page_size ? (address - page) / size + 1 : 1;
  }
  const u64 n = (page + page_size - address) / size;
  return n == 0 ? 1 : n;
}

bool check(Thread& t, u64 address, Access access) {
  if (address >= null_page_end) [[likely]] {
    return true;
  }
  stop_with_fault(t, FaultKind::null_access, access, address);
  return false;
}

// Reads an element as the processor would, for its fault.
void touch(u64 address, u64 size) {
  switch (size) {
    case 1:
      raw_load<u8>(address);
      return;
    case 2:
      raw_load<u16>(address);
      return;
    case 4:
      raw_load<u32>(address);
      return;
    default:
      raw_load<u64>(address);
  }
}

bool check_operands(Thread& t, const ThunkOp& thunk, u64 source) {
  const u64 destination = t.guest.gpr[rdi];
  if (thunk.compares) {  // cmps looks at its second operand first
    return (!thunk.uses_destination || check(t, destination, Access::read)) &&
           (!thunk.reads_source || check(t, source, Access::read));
  }
  return (!thunk.reads_source || check(t, source, Access::read)) &&
         (!thunk.uses_destination || check(t, destination, Access::write));
}

// One chunk of `n` of `count` iterations. Registers move only once the processor runs it.
bool run_chunk(Thread& t, const Op& op, u64 n, u64 count, u64 source_base, bool down) {
  Machine& m = machine_of(t);
  const ThunkOp& thunk = *op.thunk;
  const u64 source = source_base + t.guest.gpr[rsi];
  if (!check_operands(t, thunk, source)) {
    return false;
  }
  if (thunk.store == StoreKind::string) {
    if (thunk.reads_source) {
      // The source's fault comes before the destination's, so also before that of the log.
      touch(source, thunk.size);
    }
    const u64 bytes = n * thunk.size;
    const u64 destination = t.guest.gpr[rdi];
    if (down) {
      load_for_update<u8>(t, destination);  // where a fault is told: the chunk's last bytes
    }
    if (!log_range(t, down ? destination + thunk.size - bytes : destination, bytes)) {
      return false;
    }
  }
  if (thunk.repeats) {
    m.rep_rest = count - n;
    t.guest.gpr[rcx] = n;
  }
  run_thunk(thunk);
  return true;
}

}  // namespace

const Op* do_string(Thread& t, const Op& op) {
  Machine& m = machine_of(t);
  const ThunkOp& thunk = *op.thunk;
  const bool down = (t.guest.rflags & flag_df) != 0;
  const u64 source_base = op.segment == Segment::none ? 0
                          : op.segment == Segment::fs ? m.fs_base
                                                      : gs_base();
  m.rep_rest = 0;
  if (!thunk.repeats) {
    return run_chunk(t, op, 1, 1, source_base, down) ? &op + 1 : nullptr;
  }
  for (;;) {
    const u64 count = t.guest.gpr[rcx];
    if (count == 0) {
      return &op + 1;
    }
    u64 n = count;
    if (thunk.uses_destination) {
      n = std::min(n, elements_in_page(t.guest.gpr[rdi], thunk.size, down));
    }
    if (thunk.reads_source) {
      n = std::min(n, elements_in_page(source_base + t.guest.gpr[rsi], thunk.size, down));
    }
    if (!run_chunk(t, op, n, count, source_base, down)) {
      return nullptr;
    }
    const bool ended_early = t.guest.gpr[rcx] != 0;
    t.guest.gpr[rcx] += m.rep_rest;
    if (thunk.compares) {
      const bool equal = (t.guest.rflags & flag_zf) != 0;
      if (ended_early || equal != thunk.repeats_while_equal) {
        return &op + 1;
      }
    }
    if (t.guest.gpr[rcx] != 0 && ++m.instructions > m.budget && !pause(t, op.rip)) [[unlikely]] {
      return nullptr;
    }
  }
}

}  // namespace selfheal::emulator
