#include <catch2/catch.hpp>
#include <map>

#include "lib/image/function.h"
#include "test/image/mapped_elf.h"
#include "test/image/shell.h"

using namespace selfheal;

namespace {

// start -> end, as readelf reads .eh_frame.
std::map<u64, u64> ranges_by_readelf(const std::string& path) {
  std::map<u64, u64> ranges;
  for (const std::string& line :
       test::lines_of("readelf --debug-dump=frames '" + path + "' 2>/dev/null | grep ' FDE '")) {
    const auto at = line.find("pc=");
    u64 start = 0;
    u64 end = 0;
    if (at != std::string::npos &&
        std::sscanf(line.c_str() + at, "pc=%lx..%lx", &start, &end) == 2 && end > start) {
      ranges[start] = end;
    }
  }
  return ranges;
}

void compare(const std::string& path) {
  INFO(path);
  const test::MappedElf elf(path);
  REQUIRE(elf.module.segment_count != 0);
  const auto expected = ranges_by_readelf(path);
  REQUIRE(expected.size() > 5);
  unsigned wrong = 0;
  for (const auto& [start, end] : expected) {
    image::Function function;
    for (const u64 offset : {start, start + (end - start) / 2, end - 1}) {
      if (!image::find_function(elf.module, elf.module.bias + offset, function) ||
          elf.module.offset_of(function.start) != start || function.size != end - start) {
        ++wrong;
      }
    }
  }
  CHECK(wrong == 0);

  std::map<u64, u64> listed;
  struct Context {
    const image::Module& module;
    std::map<u64, u64>& listed;
  } context{elf.module, listed};
  CHECK(image::for_each_function(
      elf.module,
      [](const image::Function& function, void* data) {
        auto* c = static_cast<Context*>(data);
        c->listed[c->module.offset_of(function.start)] = c->module.offset_of(function.end());
        return true;
      },
      &context));
  CHECK(listed == expected);
}

}  // namespace

TEST_CASE("function bounds are those readelf finds in real binaries", "[function]") {
  for (const char* path :
       {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/usr/sbin/apache2",
        "/lib/x86_64-linux-gnu/libcrypto.so.3", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
        "/bin/bash", "/usr/bin/python3", "/usr/sbin/sshd", "/usr/sbin/nginx",
        "/usr/lib/x86_64-linux-gnu/libapr-1.so.0"}) {
    if (access(path, R_OK) == 0) {
      compare(path);
    }
  }
}

TEST_CASE("an address without a frame description is refused with a reason", "[function]") {
  const test::MappedElf elf("/lib/x86_64-linux-gnu/libc.so.6");
  image::Function function;
  CHECK_FALSE(image::find_function(elf.module, elf.module.start, function));
  CHECK(function.problem == image::FunctionProblem::not_covered);
  CHECK(function.size == 0);
  CHECK_FALSE(image::find_function(elf.module, elf.module.end - 1, function));
  image::Module without = elf.module;
  without.eh_frame_hdr = 0;
  CHECK_FALSE(image::find_function(without, elf.module.start, function));
  CHECK(function.problem == image::FunctionProblem::no_table);
  without = elf.module;
  without.eh_frame_hdr = elf.module.end - 2;
  CHECK_FALSE(image::find_function(without, elf.module.start, function));
  CHECK(function.problem == image::FunctionProblem::damaged);
}

TEST_CASE("the code hash changes with one byte, and not with our patches", "[function]") {
  test::MappedElf elf("/lib/x86_64-linux-gnu/libc.so.6");
  image::Function function;
  u64 longest = 0;
  image::for_each_function(
      elf.module,
      [](const image::Function& f, void* context) {
        auto* best = static_cast<u64*>(context);
        *best = f.size > 3000 ? f.start : *best;
        return *best == 0;
      },
      &longest);
  REQUIRE(longest != 0);
  REQUIRE(image::find_function(elf.module, longest, function));
  const u64 hash = image::code_hash(elf.module, function);
  CHECK(hash != 0);
  CHECK(image::code_hash(elf.module, function) == hash);
  static u8* byte;
  byte = pointer_to<u8>(function.start + 2345);
  *byte ^= 0x10;
  CHECK(image::code_hash(elf.module, function) != hash);
  image::set_original_bytes_hook([](u64 address, u8* buffer, u64 size) {
    if (address_of(byte) - address < size) {
      buffer[address_of(byte) - address] = *byte ^ 0x10;
    }
  });
  CHECK(image::code_hash(elf.module, function) == hash);
  image::set_original_bytes_hook(nullptr);
}
