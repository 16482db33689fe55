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
#include "emulator/generated_code.h"
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

// FIP's lower half, for an image that has only a quarter of it. fnstenv masks all exceptions, which
// fldcw takes back.
u32 live_pointer() {
  u8 environment[28];
  asm volatile("fnstenv %0\n\tfldcw %0" : "=m"(environment));
  u32 rip;
  __builtin_memcpy(&rip, environment + 12, sizeof rip);
  return rip;
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

// Does this instruction store the x87 state at all? If so, and there is nothing new in it, the
// image has been corrected before.
bool has_x87_state(const Thread& t, const ThunkOp& thunk) {
  const bool masked = thunk.store != StoreKind::fixed;  // the xsave family
  return !masked || (t.guest.gpr[rax] & 1) != 0;
}

void correct(u64 image, X87Image kind, const X87Instruction& original) {
  const Layout at = layout_of(kind);
  store_field(image + at.rip, at.rip_size, original.rip);
  const u16 opcode = at.opcode != 0 ? raw_load<u16>(image + at.opcode) : u16{0};
  if ((opcode & opcode_bits) != 0) {
    raw_store<u16>(image + at.opcode, static_cast<u16>((opcode & ~opcode_bits) | original.opcode));
  }
}

}  // namespace

const Op* do_x87_image(Thread& t, const Op& op) {
  const ThunkOp& thunk = *op.thunk;
  const u64 image = effective(t, op);
  const bool quarter = thunk.image == X87Image::environment_16;
  u64 rip = quarter ? live_pointer() : 0;  // fnsave clears it
  const Op* next = do_thunk(t, op);
  if (next == nullptr || !has_x87_state(t, thunk)) {
    return next;
  }
  if (!quarter) {
    const Layout at = layout_of(thunk.image);
    rip = load_field(image + at.rip, at.rip_size);
  }
  X87Instruction original;
  if (original_of(widen_x87_rip(rip), original)) {
    correct(image, thunk.image, original);
  }
  return next;
}

}  // namespace selfheal::emulator
