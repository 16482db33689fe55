// The x87 unit remembers where its last instruction was (FIP), and fnstenv, fnsave, fxsave and the
// xsave family store that. Executed out of line, the instruction was in a thunk; so the thunk holds
// the original's address beside the copy (thunk.cpp), and the images get it instead:
//
//   x87 unit: FIP ──► thunk:  nop 0xRIP   <- original_of
//                             nop 0xRIP
//                             fmul %st(1)
//
// Nothing has to be remembered between instructions, so it holds across threads' switching of
// contexts by their own code, too. Operand pointers (FDP) are the guest's anyway. What stays
// different is the register itself: a debugger, or a handler of a native #MF after the region was
// left, sees the thunk.
#include "emulator/handlers.h"
#include "emulator/machine.h"
#include "emulator/thunk.h"

namespace selfheal::emulator {
namespace {

// Where an image has the address and the opcode (SDM vol. 1, 8.1.10 and 10.5.1); 0: no opcode.
struct Layout {
  u8 rip;
  u8 rip_size;
  u8 opcode;
};

constexpr Layout layout_of(X87Image image) {
  switch (image) {
    case X87Image::environment_16:
      return {6, 2, 0};
    case X87Image::environment_32:
      return {12, 4, 18};
    case X87Image::extended_32:
      return {8, 4, 6};
    default:
      return {8, 8, 6};
  }
}

constexpr u16 opcode_bits = 0x7ff;

struct Live {
  u64 rip;
  u16 opcode;
};

Live live_pointers() {
  alignas(16) u8 area[512];
  asm volatile("fxsave64 %0" : "=m"(area));
  Live live;
  __builtin_memcpy(&live.opcode, area + 6, 2);
  __builtin_memcpy(&live.rip, area + 8, 8);
  return live;
}

u64 load_field(u64 address, unsigned size) {
  return size == 2   ? raw_load<u16>(address)
         : size == 4 ? raw_load<u32>(address)
                     : raw_load<u64>(address);
}

void store_field(u64 address, unsigned size, u64 value) {
  if (size == 2) {
    raw_store<u16>(address, static_cast<u16>(value));
  } else if (size == 4) {
    raw_store<u32>(address, static_cast<u32>(value));
  } else {
    raw_store<u64>(address, value);
  }
}

// The image may not hold the x87 state at all (a mask, or nothing changed): then it does not name
// the thunk either.
void correct(u64 image, X87Image kind, const Live& live, const X87Instruction& original) {
  const Layout at = layout_of(kind);
  const u64 mask = at.rip_size == 8 ? ~u64{0} : (u64{1} << (at.rip_size * 8)) - 1;
  if (load_field(image + at.rip, at.rip_size) != (live.rip & mask)) {
    return;
  }
  store_field(image + at.rip, at.rip_size, original.rip);
  if (at.opcode != 0 && live.opcode != 0) {
    const u16 rest = raw_load<u16>(image + at.opcode) & static_cast<u16>(~opcode_bits);
    raw_store<u16>(image + at.opcode, static_cast<u16>(rest | original.opcode));
  }
}

}  // namespace

const Op* do_x87_image(Thread& t, const Op& op) {
  const Live live = live_pointers();  // fnsave clears them
  X87Instruction original;
  const u64 image = effective(t, op);
  const Op* next = do_thunk(t, op);
  if (next != nullptr && original_of(live.rip, original)) {
    correct(image, op.thunk->image, live, original);
  }
  return next;
}

}  // namespace selfheal::emulator
