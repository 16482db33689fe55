// Shifts and rotates. The flags of before are loaded first: a count of zero leaves all of them
// alone, a rotate leaves most, and what is undefined is whatever this processor makes of it.
#include "emulator/flags.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

#define SELFHEAL_SHIFT(Name, instruction)                                   \
  struct Name {                                                             \
    template <typename T>                                                   \
    static T run(T a, u8 count, u64& flags) {                               \
      u32 ax = pack_flags(flags);                                           \
      asm(SELFHEAL_LOAD_FLAGS instruction " %%cl, %[a]" SELFHEAL_SAVE_FLAGS \
          : [a] "+r"(a), "+a"(ax)                                           \
          : "c"(count)                                                      \
          : "cc");                                                          \
      flags = merge_flags(flags, ax);                                       \
      return a;                                                             \
    }                                                                       \
  };

SELFHEAL_SHIFT(Rol, "rol")
SELFHEAL_SHIFT(Ror, "ror")
SELFHEAL_SHIFT(Shl, "shl")
SELFHEAL_SHIFT(Shr, "shr")
SELFHEAL_SHIFT(Sar, "sar")

template <class O, typename T, bool InCl>
const Op* shift_register(Thread& t, const Op& op) {
  const u8 count = InCl ? get<u8>(t, rcx * 8) : static_cast<u8>(op.immediate);
  set<T>(t, op.a, O::template run<T>(get<T>(t, op.a), count, t.guest.rflags));
  return &op + 1;
}

template <class O, typename T, bool InCl>
const Op* shift_memory(Thread& t, const Op& op) {
  const u8 count = InCl ? get<u8>(t, rcx * 8) : static_cast<u8>(op.immediate);
  const u64 address = effective(t, op);
  if (!log_value<T>(t, address)) {
    return nullptr;
  }
  u64 flags = t.guest.rflags;
  raw_store<T>(address, O::template run<T>(load_for_update<T>(t, address), count, flags));
  t.guest.rflags = flags;
  return &op + 1;
}

template <class O, bool InCl>
Handler pick(Form form, unsigned bytes) {
#define SELFHEAL_SIZES(function) \
  { function<O, u8, InCl>, function<O, u16, InCl>, function<O, u32, InCl>, function<O, u64, InCl> }
  static constexpr Handler table[][4] = {SELFHEAL_SIZES(shift_register),
                                         SELFHEAL_SIZES(shift_memory)};
  const unsigned width = static_cast<unsigned>(__builtin_ctz(bytes));
  return form == Form::r ? table[0][width] : form == Form::m ? table[1][width] : nullptr;
}

}  // namespace

Handler shift_handler(Shift operation, Form form, unsigned bytes, bool count_in_cl) {
  switch (operation) {
    case Shift::rol:
      return count_in_cl ? pick<Rol, true>(form, bytes) : pick<Rol, false>(form, bytes);
    case Shift::ror:
      return count_in_cl ? pick<Ror, true>(form, bytes) : pick<Ror, false>(form, bytes);
    case Shift::shl:
      return count_in_cl ? pick<Shl, true>(form, bytes) : pick<Shl, false>(form, bytes);
    case Shift::shr:
      return count_in_cl ? pick<Shr, true>(form, bytes) : pick<Shr, false>(form, bytes);
    case Shift::sar:
      return count_in_cl ? pick<Sar, true>(form, bytes) : pick<Sar, false>(form, bytes);
  }
  return nullptr;
}

}  // namespace selfheal::emulator
