// The memory that snippets work on, and where their code lies. Everything else in the address
// space is none of theirs: registers are random or point here.
//
//   data_base  │ none │ RW │ RW │ read-only │ RW │ none │     six pages
//
// so that an operand may straddle every kind of border. The same pages lie once more at the lower
// half of these addresses, for operands with 32-bit addresses. Code is written through a second
// mapping: where it runs it cannot be written.
#pragma once

#include <array>
#include <span>

#include "lib/base/types.h"

namespace selfheal::differential {

inline constexpr u64 data_base = 0x2000'2000'0000;
inline constexpr u64 low_data_base = data_base & 0xffff'ffff;
inline constexpr u64 data_pages = 6;
inline constexpr u64 code_base = data_base - (512U << 20);
inline constexpr u64 code_size = 128U << 20;
// Where every snippet jumps at its end. No code to the engine, which stops there.
inline constexpr u64 exit_address = code_base - page_size;

// What the writable pages hold: 1, 2 and 4.
using Image = std::array<u8, 3 * page_size>;

class Arena {
 public:
  Arena();

  static void load(const Image& image);
  static void store(Image& image);
  static bool equals(const Image& image);
  // The address of image byte `i`.
  static u64 address_of_byte(u64 i);

  // Every snippet has a place of its own, so that nothing is ever stale, and the same one each
  // time, so that it can be replayed alone.
  static u64 place(u64 number);
  void put(u64 place, std::span<const u8> code);  // and a jump to the exit
  static constexpr u64 jump_size = 5;

 private:
  u64 writable_code_ = 0;
};

}  // namespace selfheal::differential
