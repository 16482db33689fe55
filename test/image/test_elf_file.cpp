#include <catch2/catch.hpp>
#include <cerrno>
#include <elf.h>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "lib/image/elf_file.h"

using namespace selfheal;

TEST_CASE("a dynamic program says what preloading needs to know", "[elf_file]") {
  image::ElfFile file;
  REQUIRE(image::inspect_file("/usr/sbin/apache2", file));
  CHECK(file.is_64_bit);
  CHECK(file.machine == EM_X86_64);
  CHECK(file.has_interpreter);
  CHECK(std::string(file.interpreter) == "/lib64/ld-linux-x86-64.so.2");
  CHECK(file.has_dynamic);
  CHECK(file.is_pie);
  CHECK_FALSE(file.go_program);
  CHECK(file.id.kind == ModuleIdKind::build_id);
  CHECK(file.id.size == 20);
  bool needs_libc = false;
  for (unsigned i = 0; i < file.needed_count; ++i) {
    needs_libc = needs_libc || std::string(file.needed[i]) == "libc.so.6";
  }
  CHECK(needs_libc);
}

TEST_CASE("scripts, missing files, directories and empty files are told apart", "[elf_file]") {
  image::ElfFile file;
  CHECK_FALSE(image::inspect_file("/nonexistent/program", file));
  CHECK(file.problem == image::ElfFileProblem::cannot_open);
  CHECK(file.error_number == ENOENT);
  CHECK_FALSE(image::inspect_file("/usr", file));
  CHECK(file.error_number == EISDIR);
  const std::string script = "#!/bin/sh -e\necho\n";
  CHECK_FALSE(
      image::inspect_bytes(reinterpret_cast<const u8*>(script.data()), script.size(), file));
  CHECK(file.problem == image::ElfFileProblem::not_elf);
  CHECK(std::string(file.script) == "/bin/sh -e");
  CHECK_FALSE(image::inspect_bytes(nullptr, 0, file));
  CHECK(file.problem == image::ElfFileProblem::not_elf);
  CHECK_FALSE(image::inspect_file("/dev/null", file));
}

TEST_CASE("a 32-bit or foreign program is named by its machine", "[elf_file]") {
  u8 bytes[64] = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1};
  bytes[16] = ET_EXEC;
  bytes[18] = EM_386;
  image::ElfFile file;
  CHECK(image::inspect_bytes(bytes, sizeof bytes, file));
  CHECK_FALSE(file.is_64_bit);
  CHECK(file.machine == EM_386);
  bytes[4] = ELFCLASS64;
  bytes[5] = ELFDATA2MSB;
  bytes[18] = 0;
  bytes[19] = EM_S390;
  CHECK(image::inspect_bytes(bytes, sizeof bytes, file));
  CHECK(file.machine == EM_S390);
}

TEST_CASE("no damage to a file makes inspecting it fault", "[elf_file]") {
  std::ifstream in(FIXTURES "/split.so", std::ios::binary);
  const std::vector<char> good{std::istreambuf_iterator<char>(in), {}};
  REQUIRE(good.size() > 1000);
  image::ElfFile file;
  const auto inspect = [&file](const std::vector<char>& bytes) {
    // An exactly sized heap block: the sanitizer preset sees one byte too far.
    const std::vector<u8> copy(bytes.begin(), bytes.end());
    image::inspect_bytes(copy.data(), copy.size(), file);
  };
  for (size_t size = 0; size < 1500; ++size) {
    inspect({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)});
  }
  const unsigned seed = 20260;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    std::vector<char> bad = good;
    for (unsigned flips = 1 + random() % 4; flips != 0; --flips) {
      bad[random() % 0x400] = static_cast<char>(random());
    }
    inspect(bad);
  }
  SUCCEED();
}
