// Damaged frame information: every row is found or refused, none makes us read outside.
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "lib/recover/cfi_row.h"
#include "lib/recover/dwarf_expression.h"
#include "test/image/mapped_elf.h"

using namespace selfheal;

namespace {

// Finds the rows of all functions, and evaluates what expressions they have. Returns how many there
// were.
unsigned ask_all_rows(const image::Module& module, const recover::StackBounds& bounds) {
  image::FrameTable table;
  unsigned rows = 0;
  if (!image::frame_table(module, table)) {
    return 0;
  }
  const u64 registers[recover::dwarf_register_count] = {bounds.low, 1, 2, 3, bounds.high};
  for (u64 i = 0; i < table.count; ++i) {
    u64 start = 0;
    u64 fde = 0;
    image::FrameEntry entry;
    recover::Row row;
    if (!image::frame_table_entry(module, table, i, start, fde) ||
        !image::read_frame_entry(module, fde, entry) ||
        !recover::find_row(module, entry, entry.start + entry.size - 1, row)) {
      continue;
    }
    ++rows;
    u64 result = 0;
    if (row.cfa_by_expression) {
      recover::evaluate(module, row.cfa_expression, registers, bounds, nullptr, result);
    }
    for (const recover::Rule& rule : row.rules) {
      if (rule.kind == recover::Rule::expression || rule.kind == recover::Rule::value_expression) {
        recover::evaluate(module, rule.value, registers, bounds, &bounds.low, result);
      }
    }
  }
  return rows;
}

}  // namespace

TEST_CASE("no damage to frame information makes finding rows fault or hang", "[unwind]") {
  const test::MappedElf elf("/lib64/ld-linux-x86-64.so.2");
  u64 stack[16] = {};
  const recover::StackBounds bounds{address_of(stack), address_of(stack) + sizeof stack};
  const unsigned rows = ask_all_rows(elf.module, bounds);
  REQUIRE(rows > 100);
  const u64 begin = elf.module.eh_frame_hdr;
  const image::Segment* segment = nullptr;
  for (unsigned i = 0; i < elf.module.segment_count; ++i) {
    if (elf.module.segments[i].holds(begin, 1)) {
      segment = &elf.module.segments[i];
    }
  }
  REQUIRE(segment != nullptr);
  const u64 size = segment->start + segment->file_size - begin;  // .eh_frame follows its header
  const unsigned seed = 90210;
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::pair<u8*, u8>> undo;
    for (int i = 0; i < 60; ++i) {
      u8* byte = pointer_to<u8>(begin + random() % size);
      undo.emplace_back(byte, *byte);
      *byte = static_cast<u8>(random());
    }
    ask_all_rows(elf.module, bounds);
    for (auto i = undo.rbegin(); i != undo.rend(); ++i) {
      *i->first = i->second;
    }
  }
  CHECK(ask_all_rows(elf.module, bounds) == rows);
}
