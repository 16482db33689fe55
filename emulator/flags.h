// Status flags, computed by the processor itself: an operation is executed on the operands and its
// flags are read back with lahf (SF ZF AF PF CF) and seto (OF), which cost a nanosecond where
// pushfq and popfq cost seven.
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

inline constexpr u64 flag_cf = 1U << 0;
inline constexpr u64 flag_pf = 1U << 2;
inline constexpr u64 flag_af = 1U << 4;
inline constexpr u64 flag_zf = 1U << 6;
inline constexpr u64 flag_sf = 1U << 7;
inline constexpr u64 flag_tf = 1U << 8;
inline constexpr u64 flag_df = 1U << 10;
inline constexpr u64 flag_of = 1U << 11;
inline constexpr u64 flag_ac = 1U << 18;
inline constexpr u64 status_flags = flag_cf | flag_pf | flag_af | flag_zf | flag_sf | flag_of;

// What lahf; seto %al leave in ax.
inline u64 unpack_flags(u32 ax) {
  return ((ax >> 8) & (flag_cf | flag_pf | flag_af | flag_zf | flag_sf)) |
         (static_cast<u64>(ax & 1) << 11);
}

// The form that SELFHEAL_LOAD_FLAGS takes.
inline u32 pack_flags(u64 flags) {
  return static_cast<u32>(((flags & 0xff) << 8) | ((flags >> 11) & 1));
}

inline u64 merge_flags(u64 flags, u32 ax) {
  return (flags & ~status_flags) | unpack_flags(ax);
}

// For extended assembly; both use rax. 1 + 0x7f overflows, 0 + 0x7f does not.
#define SELFHEAL_LOAD_FLAGS "addb $0x7f, %%al\n\tsahf\n\t"
#define SELFHEAL_SAVE_FLAGS "\n\tlahf\n\tseto %%al"

// Condition codes in the order of the encoding (SDM vol. 1, appendix B).
template <unsigned Code>
inline bool condition(u64 f) {
  const auto bit = [f](u64 flag) { return (f & flag) != 0; };
  bool r = false;
  switch (Code >> 1) {
    case 0:
      r = bit(flag_of);
      break;
    case 1:
      r = bit(flag_cf);
      break;
    case 2:
      r = bit(flag_zf);
      break;
    case 3:
      r = bit(flag_cf | flag_zf);
      break;
    case 4:
      r = bit(flag_sf);
      break;
    case 5:
      r = bit(flag_pf);
      break;
    case 6:
      r = bit(flag_sf) != bit(flag_of);
      break;
    default:
      r = bit(flag_zf) || bit(flag_sf) != bit(flag_of);
      break;
  }
  return (Code & 1) != 0 ? !r : r;
}

}  // namespace selfheal::emulator
