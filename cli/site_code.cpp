#include "cli/site_code.h"

#include <algorithm>
#include <fmt/core.h>

#include "lib/report/disassembly.h"

namespace selfheal::cli {
namespace {

constexpr size_t lines_before = 6;
constexpr size_t lines_after = 4;
constexpr u64 longest_instruction = 15;
constexpr u64 longest_function = 1 << 20;

CodeLine decode_line(const ElfView& elf, u64 offset, u64& size) {
  const std::span<const u8> bytes = elf.at(offset, longest_instruction);
  char buffer[192];
  Text text(buffer, sizeof buffer);
  size = report::disassemble(bytes.data(), bytes.size(), offset, text);
  if (size == 0) {
    text << "(bad)";
    size = std::min<u64>(bytes.size(), 1);
  }
  std::string digits;
  for (const u8 byte : bytes.first(size)) {
    digits += fmt::format("{:02x} ", byte);
  }
  return {offset, digits, text.c_str(), false};
}

}  // namespace

std::vector<CodeLine> code_around(const ElfView& elf, u64 start, u64 site) {
  std::vector<CodeLine> lines;
  u64 offset = start <= site && site - start <= longest_function ? start : site;
  size_t after = 0;
  while (after <= lines_after) {
    u64 size = 0;
    CodeLine line = decode_line(elf, offset, size);
    if (size == 0) {
      break;
    }
    // Data in the code, or a damaged record: fall into step at the site.
    if (offset < site && offset + size > site) {
      size = site - offset;
      line.text = "(bad)";
    }
    line.is_site = offset == site;
    after += offset >= site ? 1 : 0;
    lines.push_back(std::move(line));
    if (offset < site && lines.size() > lines_before) {
      lines.erase(lines.begin());
    }
    offset += size;
  }
  return lines;
}

}  // namespace selfheal::cli
