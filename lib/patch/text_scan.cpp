#include <emmintrin.h>

#include "lib/patch/plan.h"

namespace selfheal::patch {
namespace {

u32 load32(const u8* p) {
  return static_cast<u32>(p[0]) | static_cast<u32>(p[1]) << 8 | static_cast<u32>(p[2]) << 16 |
         static_cast<u32>(p[3]) << 24;
}

// Whether the four bytes at `offset` are the operand of a call, jmp or jcc that leads to the range.
bool is_branch(const Code& text, u64 offset, u64 first, u64 last) {
  const u64 target =
      text.address + offset + 4 +
      static_cast<u64>(static_cast<i64>(static_cast<i32>(load32(text.bytes + offset))));
  if (target < first || target > last || offset == 0) {
    return false;
  }
  const u8 opcode = text.bytes[offset - 1];
  if (opcode == 0xe8 || opcode == 0xe9) {
    return true;
  }
  return offset > 1 && text.bytes[offset - 2] == 0x0f && (opcode & 0xf0) == 0x80;
}

// Every byte offset is a candidate; four unaligned loads make sixteen of them at a time. A
// candidate's target minus `first`, cut to 32 bits, is below 4 once in 2^30 by chance.
bool near_range(const Code& text, u64 offset, u64 first) {
  const u32 base = static_cast<u32>(text.address + offset + 4 - first);
  const __m128i steps = _mm_set_epi32(12, 8, 4, 0);
  const __m128i above = _mm_set1_epi32(~3);
  __m128i hits = _mm_setzero_si128();
  for (u32 phase = 0; phase < 4; ++phase) {
    const auto* at = reinterpret_cast<const __m128i_u*>(text.bytes + offset + phase);
    const __m128i place = _mm_add_epi32(_mm_set1_epi32(static_cast<i32>(base + phase)), steps);
    const __m128i distance = _mm_and_si128(_mm_add_epi32(_mm_loadu_si128(at), place), above);
    hits = _mm_or_si128(hits, _mm_cmpeq_epi32(distance, _mm_setzero_si128()));
  }
  return _mm_movemask_epi8(hits) != 0;
}

}  // namespace

bool rel32_into(const Code& text, u64 first, u64 last) {
  constexpr u64 block = 16;
  u64 offset = 0;
  if (last - first < 4) {
    for (; offset + block + 3 <= text.size; offset += block) {
      if (!near_range(text, offset, first)) {
        continue;
      }
      for (u64 i = offset; i < offset + block; ++i) {
        if (is_branch(text, i, first, last)) {
          return true;
        }
      }
    }
  }
  for (; offset + 4 <= text.size; ++offset) {
    if (is_branch(text, offset, first, last)) {
      return true;
    }
  }
  return false;
}

unsigned neighbours(const Code& function, CodeAt code_at, void* context, std::span<Code> found) {
  constexpr u64 reach = 128 + jump_size;
  const u64 end = function.address + function.size;
  unsigned count = 0;
  const auto collect = [&](u64 low, u64 high) {
    for (u64 at = low; at < high && count < found.size();) {
      Code& code = found[count];
      if (code_at(at, code, context)) {
        at = code.address + code.size;
        ++count;
      } else {
        ++at;  // padding
      }
    }
  };
  collect(function.address - reach, function.address);
  if (function.size < reach) {
    collect(end, function.address + reach);
  }
  return count;
}

}  // namespace selfheal::patch
