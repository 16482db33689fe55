#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "lib/image/function.h"
#include "test/image/mapped_elf.h"
#include "test/image/shell.h"

using namespace selfheal;

namespace {

// name -> (address, size) of the functions in .symtab.
std::map<std::string, std::pair<u64, u64>> symbols_of(const std::string& path) {
  std::map<std::string, std::pair<u64, u64>> symbols;
  for (const std::string& line : test::lines_of("nm -S --defined-only '" + path + "'")) {
    u64 address = 0;
    u64 size = 0;
    char kind = 0;
    char name[512];
    if (std::sscanf(line.c_str(), "%lx %lx %c %511s", &address, &size, &kind, name) == 4 &&
        (kind == 't' || kind == 'T')) {
      symbols[name] = {address, size};
    }
  }
  return symbols;
}

struct Score {
  unsigned parts = 0;
  unsigned right = 0;
  unsigned wrong = 0;  // given to a function that is not its own
};

Score score(const std::string& path) {
  const test::MappedElf elf(path);
  const auto symbols = symbols_of(path);
  Score result;
  for (const auto& [name, where] : symbols) {
    const auto dot = name.find(".cold");
    if (dot == std::string::npos || where.second == 0) {
      continue;
    }
    const auto parent = symbols.find(name.substr(0, dot));
    if (parent == symbols.end()) {
      continue;
    }
    ++result.parts;
    image::Function owner;
    bool in_cold_part = false;
    const bool found = image::find_owner(
        elf.module, elf.module.bias + where.first + where.second / 2, owner, in_cold_part);
    const u64 start = elf.module.offset_of(owner.start);
    if (found && in_cold_part && start == parent->second.first) {
      ++result.right;
    } else if (found && in_cold_part) {
      ++result.wrong;
      UNSCOPED_INFO(name << " was given to " << std::hex << start);
    } else {
      UNSCOPED_INFO(name << " was left alone");
    }
  }
  return result;
}

}  // namespace

TEST_CASE("a split-off part belongs to the function that branches to it", "[cold]") {
  const Score result = score(FIXTURES "/split.so");
  CHECK(result.parts >= 3);
  CHECK(result.right == result.parts);
}

TEST_CASE("ordinary functions, cold ones that are called among them, own themselves", "[cold]") {
  const std::string path = FIXTURES "/split.so";
  const test::MappedElf elf(path);
  const auto symbols = symbols_of(path);
  CHECK(symbols.count("called_and_cold") == 1);
  for (const auto& [name, where] : symbols) {
    if (name.find(".cold") != std::string::npos || where.second == 0) {
      continue;
    }
    INFO(name);
    image::Function owner;
    bool in_cold_part = true;
    REQUIRE(image::find_owner(elf.module, elf.module.bias + where.first, owner, in_cold_part));
    CHECK_FALSE(in_cold_part);
    CHECK(elf.module.offset_of(owner.start) == where.first);
  }
}

TEST_CASE("no part of a large C++ program is given to a stranger", "[cold]") {
  // This program itself (clang splits nothing). A part that is one landing pad is entered by the
  // C++ unwinder only: it may be left alone, but never given to the wrong function.
  const Score result = score(test::own_path());
  CHECK(result.wrong == 0);
  CHECK(result.right * 10 >= result.parts * 9);
}

TEST_CASE("functions of stock binaries that are called are never taken for parts", "[cold]") {
  // libc exports its functions: an exported start is an entry whatever its frame description says.
  const std::string path = "/lib/x86_64-linux-gnu/libc.so.6";
  const test::MappedElf elf(path);
  unsigned checked = 0;
  unsigned wrong = 0;
  for (const std::string& line : test::lines_of("nm -D -S --defined-only " + path)) {
    u64 address = 0;
    u64 size = 0;
    char kind = 0;
    image::Function owner;
    bool in_cold_part = false;
    if (std::sscanf(line.c_str(), "%lx %lx %c", &address, &size, &kind) == 3 && kind == 'T' &&
        checked < 400 &&
        image::find_owner(elf.module, elf.module.bias + address, owner, in_cold_part)) {
      ++checked;
      wrong += in_cold_part;
    }
  }
  CHECK(checked > 300);
  CHECK(wrong == 0);
}
