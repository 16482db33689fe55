// Damaged tables in memory: every lookup must come back, with or without a result.
#include <catch2/catch.hpp>
#include <random>

#include "lib/image/cfi.h"
#include "lib/image/function.h"
#include "lib/image/symbols.h"
#include "test/image/mapped_elf.h"

using namespace selfheal;

namespace {

const image::Segment* text_of(const image::Module& module) {
  for (unsigned i = 0; i < module.segment_count; ++i) {
    if ((module.segments[i].flags & PF_X) != 0) {
      return &module.segments[i];
    }
  }
  return nullptr;
}

void ask_everything(const image::Module& module) {
  const image::Segment* text = text_of(module);
  image::Function function;
  image::Symbol symbol;
  bool in_cold_part = false;
  for (u64 at = text->start; at < text->end; at += 61) {
    image::find_function(module, at, function);
  }
  image::find_owner(module, text->start + 0x80, function, in_cold_part);
  image::symbol_at(module, text->start + 0x100, symbol);
  image::find_symbol(module, "with_frame", symbol);
  image::soname(module);
  image::content_id(module);
}

void flip_bytes(u64 start, u64 size, unsigned seed, int rounds) {
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < rounds; ++round) {
    const test::MappedElf elf(FIXTURES "/split.so");
    for (unsigned flips = 1 + random() % 3; flips != 0; --flips) {
      *pointer_to<u8>(elf.module.bias + start + random() % size) = static_cast<u8>(random());
    }
    ask_everything(elf.module);
  }
}

}  // namespace

TEST_CASE("damaged frame tables never make a lookup fault", "[damaged]") {
  const test::MappedElf good(FIXTURES "/split.so");
  const u64 header = good.module.offset_of(good.module.eh_frame_hdr);
  flip_bytes(header, good.module.eh_frame_hdr_size + 0x180, 31, 400);
}

TEST_CASE("damaged dynamic tables never make a lookup fault", "[damaged]") {
  const test::MappedElf good(FIXTURES "/split.so");
  flip_bytes(good.module.offset_of(good.module.dynamic), 0x180, 32, 200);
  flip_bytes(0x200, 0x400, 33, 300);  // hash tables, symbols, strings
}
