// String instructions: executed by the processor (a thunk each), a page at a time.
//
//   rep movs:  rcx = 5000 ──► chunks that touch one page of the source and one of the destination:
//              log the chunk's bytes, run `rep movs` on the chunk, go on with the rest
//
// A chunk either faults at its first iteration or not at all (but for other threads that unmap it),
// so the log never holds more than was written; and a fault's partial state is the processor's own:
// take_fault adds the iterations of the later chunks to its rcx. Where a chunk's old bytes cannot
// be read, its first iteration is left to the processor, which says what is wrong with it.
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

// Where the instruction finds its operands now. With 32-bit addresses the upper halves of the
// registers do not count.
struct Operands {
  u64 source;
  u64 destination;
  u64 count;
};

Operands operands_of(const Thread& t, const Op& op, u64 source_base) {
  const auto narrow = [&op](u64 v) { return op.address32 ? static_cast<u32>(v) : v; };
  return {source_base + narrow(t.guest.gpr[rsi]), narrow(t.guest.gpr[rdi]),
          narrow(t.guest.gpr[rcx])};
}

// Runs `n` iterations; the registers say how far they got. What a register of 32 bits has in its
// upper half until the first iteration is done is for the processor to decide.
void run_iterations(Thread& t, const Op& op, u64 n, u64 count) {
  if (op.thunk->repeats) {
    machine_of(t).rep_rest = count - n;
    t.guest.gpr[rcx] -= count - n;
  }
  run_thunk(*op.thunk);
}

bool log_chunk(Thread& t, const ThunkOp& thunk, u64 destination, u64 n, bool down) {
  if (thunk.store != StoreKind::string) {
    return true;
  }
  const u64 bytes = n * thunk.size;
  return log_range(t, down ? destination + thunk.size - bytes : destination, bytes);
}

u64 segment_base(Thread& t, const Op& op) {
  return op.segment == Segment::none ? 0
         : op.segment == Segment::fs ? machine_of(t).fs_base
                                     : gs_base();
}

bool is_down(const Thread& t) {
  return (t.guest.rflags & flag_df) != 0;
}

// Is there more to do after a chunk? Its own counter says whether it was stopped by a comparison.
bool goes_on(Thread& t, const Op& op) {
  const ThunkOp& thunk = *op.thunk;
  const u64 rest = machine_of(t).rep_rest;
  const u64 left = op.address32 ? get<u32>(t, rcx * 8) : t.guest.gpr[rcx];
  t.guest.gpr[rcx] += rest;
  const bool equal = (t.guest.rflags & flag_zf) != 0;
  return rest != 0 && (!thunk.compares || (left == 0 && equal == thunk.repeats_while_equal));
}

const Op* repeat(Thread& t, const Op& op) {
  Machine& m = machine_of(t);
  const ThunkOp& thunk = *op.thunk;
  const bool down = is_down(t);
  const u64 source_base = segment_base(t, op);
  do {
    const Operands o = operands_of(t, op, source_base);
    u64 n = o.count;
    if (thunk.uses_destination) {
      n = std::min(n, elements_in_page(o.destination, thunk.size, down));
    }
    if (thunk.reads_source) {
      n = std::min(n, elements_in_page(o.source, thunk.size, down));
    }
    if (!log_chunk(t, thunk, o.destination, n, down)) {
      return nullptr;
    }
    run_iterations(t, op, n, o.count);
    if (!goes_on(t, op)) {
      return &op + 1;
    }
  } while (++m.instructions <= m.budget || pause(t, op.rip));
  return nullptr;
}

}  // namespace

const Op* do_string(Thread& t, const Op& op) {
  machine_of(t).rep_rest = 0;
  if (op.thunk->repeats) {
    return repeat(t, op);
  }
  const Operands o = operands_of(t, op, 0);
  if (!log_chunk(t, *op.thunk, o.destination, 1, is_down(t))) {
    return nullptr;
  }
  run_thunk(*op.thunk);
  return &op + 1;
}

const Op* run_string_unlogged(Thread& t, const Op& op) {
  if (!op.thunk->repeats) {
    run_thunk(*op.thunk);
    return &op + 1;
  }
  const Operands o = operands_of(t, op, 0);
  run_iterations(t, op, 1, o.count);
  return goes_on(t, op) ? repeat(t, op) : &op + 1;
}

}  // namespace selfheal::emulator
