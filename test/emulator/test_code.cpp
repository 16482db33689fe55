// Code that is not a module's text: it changes under way, crosses page ends, or is not there.
#include <catch2/catch.hpp>
#include <cstring>
#include <initializer_list>
#include <sys/mman.h>

#include "test/emulator/host.h"

using namespace selfheal;
using namespace selfheal::emulator;
using host::session;

namespace {

u64 begin = 0;
u64 end = 0;

CodeKind changing(u64 address) {
  return address >= begin && address < end ? CodeKind::may_change : CodeKind::none;
}
CodeKind fixed(u64 address) {
  return address >= begin && address < end ? CodeKind::stable : CodeKind::none;
}

// Two pages of memory for code, the second one optionally inaccessible.
u8* code_pages(CodeKind (*kind)(u64), bool second) {
  host::start();
  void* p = mmap(nullptr, 2 * page_size, PROT_READ | PROT_WRITE | PROT_EXEC,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  begin = address_of(p);
  end = begin + (second ? 2 : 1) * page_size;
  if (!second) {
    mprotect(pointer_to<void>(end), page_size, PROT_NONE);
  }
  host::set_code_kind(kind);
  session.after_fault = host::AfterFault::commit_and_go_on;
  return static_cast<u8*>(p);
}

void write(u8* at, std::initializer_list<int> bytes) {
  for (const int b : bytes) {
    *at++ = static_cast<u8>(b);
  }
}

u64 run(u8* code) {
  u64 (*f)();
  std::memcpy(&f, &code, sizeof f);
  return host::call(f);
}

}  // namespace

TEST_CASE("code that changes between two runs is decoded again") {
  u8* code = code_pages(changing, true);
  write(code, {0xb8, 1, 0, 0, 0, 0xc3});  // mov $1, %eax; ret
  REQUIRE(run(code) == 1);
  code[1] = 2;
  REQUIRE(run(code) == 2);
  REQUIRE(session.outcome.stop == Stop::returned);
}

TEST_CASE("an instruction that rewrites the next one is obeyed at once") {
  u8* code = code_pages(changing, true);
  // movb $7, 1(%rip): the immediate of the mov behind it
  write(code, {0xc6, 0x05, 1, 0, 0, 0, 7, 0xb8, 1, 0, 0, 0, 0xc3});
  REQUIRE(run(code) == 7);
  REQUIRE(session.outcome.stop == Stop::returned);
}

TEST_CASE("forget_code makes stable code be decoded again") {
  u8* code = code_pages(fixed, true);
  write(code, {0xb8, 1, 0, 0, 0, 0xc3});
  REQUIRE(run(code) == 1);
  code[1] = 5;
  forget_code(begin, begin + 6);
  REQUIRE(run(code) == 5);
}

TEST_CASE("an instruction may cross a page end") {
  u8* code = code_pages(fixed, true) + page_size - 2;
  write(code, {0xb8, 9, 0, 0, 0, 0xc3});
  REQUIRE(run(code) == 9);
  REQUIRE(session.outcome.stop == Stop::returned);
}

TEST_CASE("an instruction cut off by the end of code stops only when it is reached") {
  u8* code = code_pages(fixed, false) + page_size - 6;
  // test %eax, %eax; je to the ret; then half a mov
  write(code, {0x31, 0xc0, 0x74, 1, 0xb8, 0xc3});
  REQUIRE(run(code) == 0);
  REQUIRE(session.outcome.stop == Stop::returned);
}

TEST_CASE("a jump into the middle of an instruction runs what is there") {
  u8* code = code_pages(fixed, true);
  // jmp +1 into b8 | 31 c0 ff c0 c3: xor %eax, %eax; inc %eax; ret
  write(code, {0xeb, 1, 0xb8, 0x31, 0xc0, 0xff, 0xc0, 0xc3});
  REQUIRE(run(code) == 1);
}

TEST_CASE("a call that only pushes its own address is no return") {
  u8* code = code_pages(fixed, true);
  // call +0; pop %rax; sub $(code+5), ...: rax is the address of the pop
  write(code, {0xe8, 0, 0, 0, 0, 0x58, 0xc3});
  REQUIRE(run(code) == begin + 5);
  REQUIRE(session.outcome.stop == Stop::returned);
}

TEST_CASE("an endless loop of one instruction runs into the budget") {
  u8* code = code_pages(fixed, true);
  write(code, {0x31, 0xc0, 0x48, 0xff, 0xc0, 0x75, 0xfb, 0xc3});  // inc %rax; jne back
  session.roll_back_always = true;
  session.virtual_value = 77;
  const u64 value = run(code);
  session.roll_back_always = false;
  REQUIRE(value == 77);
  REQUIRE(session.outcome.stop == Stop::budget);
  REQUIRE(session.outcome.instructions <= host::default_budget);
  REQUIRE(session.outcome.instructions > host::default_budget - 1000);
}
