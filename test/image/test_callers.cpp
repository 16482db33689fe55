// The search for calls against a disassembler's.
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/image/callers.h"
#include "test/image/mapped_elf.h"
#include "test/image/shell.h"

using namespace selfheal;

namespace {

// Target -> return addresses of the calls that objdump sees, as ELF virtual addresses.
std::map<u64, std::set<u64>> calls_in(const std::string& path) {
  std::map<u64, std::set<u64>> calls;
  for (const std::string& line : test::lines_of("objdump -d --no-show-raw-insn '" + path + "'")) {
    u64 address = 0;
    u64 target = 0;
    if (std::sscanf(line.c_str(), " %lx: call %lx", &address, &target) == 2) {
      calls[target].insert(address + 5);
    } else if (std::sscanf(line.c_str(), " %lx: addr32 call %lx", &address, &target) == 2) {
      calls[target].insert(address + 6);  // what the linker makes of a call through a word
    }
  }
  return calls;
}

// Of so many of the functions that are called, evenly spread.
unsigned check_callers(const std::string& path, size_t most) {
  const test::MappedElf elf(path);
  const image::Module& module = elf.module;
  unsigned checked = 0;
  const auto calls = calls_in(path);
  const size_t every = calls.size() / most + 1;
  size_t number = 0;
  for (const auto& [target, sites] : calls) {
    image::Function function;
    if (!image::find_function(module, module.bias + target, function) ||
        function.start != module.bias + target || ++number % every != 0) {
      continue;  // a PLT entry
    }
    std::set<u64> expected;
    for (const u64 site : sites) {
      image::Function caller;
      if (!function.holds(module.bias + site - 1) &&
          image::find_function(module, module.bias + site - 4, caller)) {
        expected.insert(site);
      }
    }
    std::vector<u64> found(8192);
    const unsigned count = image::find_callers(module, function, found);
    REQUIRE(count <= found.size());
    std::set<u64> seen;
    for (unsigned i = 0; i < count; ++i) {
      seen.insert(module.offset_of(found[i]));
    }
    INFO(path << ", function at " << std::hex << target);
    CHECK(seen == expected);
    ++checked;
  }
  return checked;
}

}  // namespace

TEST_CASE("direct calls of a function are found where a disassembler sees them", "[callers]") {
  CHECK(check_callers(FIXTURES "/split.so", 100) >= 3);
  CHECK(check_callers(test::own_path(), 200) >= 50);
}

TEST_CASE("no more callers are given than there is room for", "[callers]") {
  const test::MappedElf elf(FIXTURES "/split.so");
  const image::Module& module = elf.module;
  for (const auto& [target, sites] : calls_in(FIXTURES "/split.so")) {
    image::Function function;
    if (sites.size() > 1 && image::find_function(module, module.bias + target, function) &&
        function.start == module.bias + target) {
      std::array<u64, 2> found{};
      CHECK(image::find_callers(module, function, {found.data(), 1}) == 1);
      CHECK(sites.count(module.offset_of(found[0])) == 1);
      CHECK(found[1] == 0);
      return;
    }
  }
  FAIL("split.so has no function that is called twice");
}

extern "C" const u8 called_by_chance[];

// The bytes of a call of `called_by_chance` within a mov's immediate.
asm(R"(
.text
called_by_chance:
  .cfi_startproc
  ret
  .cfi_endproc
calls_by_chance:
  .cfi_startproc
  .byte 0x48, 0xb8, 0xe8
  .long called_by_chance - 1f
1:.byte 0, 0, 0
  ret
  .cfi_endproc
)");

TEST_CASE("what looks like a call in the middle of an instruction is none", "[callers]") {
  image::Module module;
  image::Function function;
  const u64 start = address_of(called_by_chance);
  REQUIRE(image::find_module(start, module));
  REQUIRE(image::find_function(module, start, function));
  REQUIRE(function.start == start);
  u64 found = 0;
  CHECK(image::find_callers(module, function, {&found, 1}) == 0);
}
