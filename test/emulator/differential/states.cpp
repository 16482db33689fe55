// Values for registers and memory: small, large, at the edges of everything, or into the arena.
#include <cstring>

#include "test/emulator/differential/generator.h"

namespace selfheal::differential {
namespace {

constexpr u64 borders[] = {1, 2, 3, 4, 5};  // first byte of these pages

}  // namespace

u64 Generator::data_address() {
  if (random_.one_in(2)) {
    const u64 border = data_base + borders[random_.below(std::size(borders))] * page_size;
    return border + random_.below(144) - 72;
  }
  const u64 address = data_base + page_size + random_.below(4 * page_size);
  return random_.one_in(2) ? address & ~u64{63} : address;
}

u64 Generator::value() {
  switch (random_.below(10)) {
    case 0:
      return random_.below(256);
    case 1:
      return random_.next();
    case 2:
      return 0 - random_.below(256);
    case 3:
      return u64{1} << random_.below(64);
    case 4:
      return (u64{1} << 47) - random_.below(64);  // the end of what a program may address
    default:
      return data_address();
  }
}

void Generator::fill_vectors(State& s) {
  for (u64 i = 0; i < vector_bytes; i += 8) {
    const u64 v = random_.next();
    const u64 pick = v & 7;
    const u64 word = pick < 3   ? v
                     : pick < 5 ? 0x3ff0000000000000 + (v >> 14)
                     : pick < 6 ? (v & 0x8000000000000000) | (v >> 40)  // denormal, small
                     : pick < 7 ? 0x3f8000003f800000 ^ (v & 0x807fffff807fffff)
                                : v & 0xff00ff00ff00ff00;
    std::memcpy(s.vectors + i, &word, 8);
  }
  std::memset(s.vectors + 416, 0, 160);
  const u64 in_use = enabled_components() & (random_.one_in(3) ? random_.next() : ~u64{0});
  std::memcpy(s.vectors + 512, &in_use, 8);
  const u32 mxcsr = static_cast<u32>((random_.next() & 0xe07f) |
                                     (random_.one_in(8) ? random_.next() & 0x1f80 : 0x1f80));
  std::memcpy(s.vectors + 24, &mxcsr, 4);
  std::memset(s.vectors + 28, 0, 4);
  const u16 control = static_cast<u16>((random_.next() & 0x0f40) |
                                       (random_.one_in(8) ? random_.next() & 0x3f : 0x3f));
  // Exception flags that the control word does not mask are pending: the next instruction's fault.
  const u16 status =
      static_cast<u16>(random_.next() & 0x7f00) |
      static_cast<u16>(random_.one_in(8) ? random_.next() & 0x7f : random_.next() & 0x40 & control);
  std::memcpy(s.vectors, &control, 2);
  std::memcpy(s.vectors + 2, &status, 2);
  s.vectors[4] = random_.byte();
  s.vectors[5] = 0;
  for (unsigned i = 0; i < 8; ++i) {
    std::memset(s.vectors + 32 + 16 * i + 10, 0, 6);
  }
  const u64 rip = data_address();
  const u64 operand = data_address();
  const u16 opcode = static_cast<u16>(random_.next() & 0x7ff);
  std::memcpy(s.vectors + 6, &opcode, 2);
  std::memcpy(s.vectors + 8, &rip, 8);
  std::memcpy(s.vectors + 16, &operand, 8);
}

void Generator::fill(Image& memory) {
  for (u64 i = 0; i < memory.size(); i += 8) {
    const u64 v = random_.next();
    const u64 word = (v & 3) == 0 ? value() : v;
    std::memcpy(&memory[i], &word, 8);
  }
}

}  // namespace selfheal::differential
