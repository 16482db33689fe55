#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "lib/report/disassembly.h"
#include "lib/report/report.h"

namespace selfheal::report {
namespace {

std::string disassembled(const std::vector<u8>& bytes, u64 address = nowhere) {
  char buffer[128];
  Text text(buffer, sizeof buffer);
  const u64 size = disassemble(bytes.data(), bytes.size(), address, text);
  return std::to_string(size) + ":" + text.c_str();
}

TEST_CASE("instructions are shown in Intel syntax, in lower case") {
  CHECK(disassembled({0x48, 0x8b, 0x84, 0xca, 0xcd, 0xab, 0x00, 0x00}) ==
        "8:mov rax, qword ptr [rdx+rcx*8+0xabcd]");
  CHECK(disassembled({0xf7, 0xf9}) == "2:idiv ecx");
}

TEST_CASE("relative operands stay relative without an address and are resolved with one") {
  CHECK(disassembled({0x8b, 0x05, 0x10, 0x00, 0x00, 0x00}) == "6:mov eax, dword ptr [rip+0x10]");
  CHECK(disassembled({0x74, 0x30}) == "2:jz +0x32");
  CHECK(disassembled({0x74, 0x30}, 0x1000) == "2:jz 0x1032");
}

TEST_CASE("bytes that are no instruction are reported as such") {
  CHECK(disassembled({0x06}) == "0:");
  CHECK(disassembled({0x48, 0x8b}) == "0:");
  CHECK(disassembled({}) == "0:");
}

TEST_CASE("system calls have their names") {
  CHECK(std::string(syscall_name(0)) == "read");
  CHECK(std::string(syscall_name(257)) == "openat");
  CHECK(syscall_name(335) == nullptr);
  CHECK(syscall_name(0xffffffff) == nullptr);
}

}  // namespace
}  // namespace selfheal::report
