// Before and after, byte for byte; and what can be run is run, before and after.
#include <catch2/catch.hpp>

#include "lib/patch/patcher.h"
#include "test/patch/text_fixture.h"

using namespace selfheal;
using namespace selfheal::patch;
using namespace selfheal::patch::test;

namespace {

constexpr u64 entry_address = 0x40001000;
constexpr u64 stub_address = 0x40800000;
constexpr u64 native_address = stub_address + native_offset;

struct Golden {
  const char* what;
  const char* before;   // the function
  const char* behind;   // bytes behind it, that are not its own
  const char* patched;  // written over its entry (behind endbr64)
  const char* native;
  bool single;
  bool runs;  // as u64 f(u64, u64)
};

const Golden goldens[] = {
    {"a frame is set up: the classic prologue", "55 48 89 e5 48 83 ec 20 48 8d 04 37 c9 c3",
     "",                // push rbp; mov; sub; lea (rdi,rsi); leave
     "e9 fb ef 7f 00",  //
     "55 48 89 e5 48 83 ec 20 e9 eb 0f 80 ff", false, true},
    {"endbr64 stays where indirect branches land",
     "f3 0f 1e fa 55 48 89 e5 48 83 ec 20 48 8d 04 37 c9 c3", "",  //
     "e9 f7 ef 7f 00",                                             //
     "55 48 89 e5 48 83 ec 20 e9 ef 0f 80 ff", false, true},
    {"one instruction covers the jump", "48 69 c7 39 30 00 00 c3", "",  // imul $12345,%rdi,%rax
     "e9 fb ef 7f 00", "48 69 c7 39 30 00 00 e9 eb 0f 80 ff", true, true},
    {"lea relative to rip gets a new displacement",  // lea 1(%rip),%rax; ret
     "48 8d 05 01 00 00 00 c3", "", "e9 fb ef 7f 00", "48 8d 05 f1 0f 80 ff e9 eb 0f 80 ff", true,
     true},
    {"a load relative to rip reads the same memory",  // mov 5(%rip),%eax; add %edi,%eax; ret; data
     "8b 05 03 00 00 00 01 f8 c3", "78 56 34 12", "e9 fb ef 7f 00",
     "8b 05 f3 0f 80 ff e9 eb 0f 80 ff", true, true},
    {"a constant behind the displacement is kept",  // cmpl $7,0x12(%rip); sete %al; movzx; ret
     "83 3d 09 00 00 00 07 0f 94 c0 0f b6 c0 c3", "90 90 07 00 00 00", "e9 fb ef 7f 00",
     "83 3d f9 0f 80 ff 07 e9 eb 0f 80 ff", true, true},
    {"an EVEX load relative to rip",  // vmovups 0xff6(%rip),%zmm0
     "62 f1 7c 48 10 05 f6 0f 00 00 c3", "", "e9 fb ef 7f 00",
     "62 f1 7c 48 10 05 e6 1f 80 ff e9 eb 0f 80 ff", true, false},
    {"a short conditional jump becomes a long one",  // test rdi; je 1f; mov rdi,rax; ret; 1: xor
     "48 85 ff 74 05 48 89 f8 c3 90 31 c0 c3", "", "e9 fb ef 7f 00",
     "48 85 ff 0f 84 f1 0f 80 ff e9 e7 0f 80 ff", false, true},
    {"a long conditional jump",  // jz can only follow flags set by the caller
     "0f 84 fa 00 00 00 c3", "", "e9 fb ef 7f 00", "0f 84 ea 10 80 ff e9 eb 0f 80 ff", true, false},
    {"jrcxz has no long form",  // jrcxz 1f; mov rdi,rax; ret; 1: xor eax,eax; ret
     "e3 04 48 89 f8 c3 31 c0 c3", "", "e9 fb ef 7f 00",
     "e3 02 eb 05 e9 ed 0f 80 ff 48 89 f8 e9 e4 0f 80 ff", false, false},
    {"loop counts as before",  // mov edi,ecx; loop 1f; xor eax,eax; ret; 1: mov rsi,rax; ret
     "89 f9 e2 03 31 c0 c3 48 89 f0 c3", "", "e9 fb ef 7f 00",
     "89 f9 e2 02 eb 05 e9 ec 0f 80 ff 31 c0 e9 e4 0f 80 ff", false, true},
    {"loop with a 32-bit count keeps its prefix",  // mov edi,ecx; addr32 loop 1f
     "89 f9 67 e2 03 31 c0 c3 48 89 f0 c3", "", "e9 fb ef 7f 00",
     "89 f9 67 e2 02 eb 05 e9 ec 0f 80 ff e9 e4 0f 80 ff", false, true},
    {"a call pushes the return address it always pushed",  // call 1f; add rax,rsi..; 1: lea; ret
     "e8 04 00 00 00 48 ff c0 c3 48 8d 04 37 c3", "", "e9 fb ef 7f 00",
     "68 05 10 00 40 c7 44 24 04 00 00 00 00 e9 e7 0f 80 ff", true, true},
    {"push, then call",  // push rbx; call 1f; inc rax; pop rbx; ret; 1: lea (rdi,rsi),rax; ret
     "53 e8 05 00 00 00 48 ff c0 5b c3 48 8d 04 37 c3", "", "e9 fb ef 7f 00",
     "53 68 06 10 00 40 c7 44 24 04 00 00 00 00 e9 e8 0f 80 ff", false, true},
    {"a call through a pointer, as -fno-plt makes them",  // call *0xffa(%rip)
     "ff 15 fa 0f 00 00 c3", "", "e9 fb ef 7f 00",
     "68 06 10 00 40 c7 44 24 04 00 00 00 00 ff 25 dd 1f 80 ff", true, false},
    {"a call through a table",  // call *0x10000(%rax,%rdi,8)
     "ff 94 f8 00 00 01 00 c3", "", "e9 fb ef 7f 00",
     "68 07 10 00 40 c7 44 24 04 00 00 00 00 ff a4 f8 00 00 01 00", true, false},
    {"a jump thunk: nothing to go back to", "e9 0b 00 00 00", "", "e9 fb ef 7f 00",
     "e9 fb 0f 80 ff", true, false},
    {"a short jump and its padding", "eb 0e", "90 90 90", "e9 fb ef 7f 00", "e9 fb 0f 80 ff", true,
     false},
    {"a jump through a pointer", "ff 25 fa 0f 00 00", "", "e9 fb ef 7f 00", "ff 25 ea 1f 80 ff",
     true, false},
    {"shorter than the jump, single-byte padding", "31 c0 c3", "90 90", "e9 fb ef 7f 00",
     "31 c0 c3", false, true},
    {"shorter than the jump, a long nop behind", "89 f8 c3", "66 2e 0f 1f 84 00 00 00 00 00",
     "e9 fb ef 7f 00", "89 f8 c3", false, true},
    {"shorter than the jump, int3 behind", "c3", "cc cc cc cc", "e9 fb ef 7f 00", "c3", true,
     false},
    {"falls through its padding into the next function", "89 f8", "66 90 66 90 c3",
     "e9 fb ef 7f 00", "89 f8 e9 ef 0f 80 ff", true, true},
    {"dead padding behind a return in the function", "89 f8 c3 90 90 90 c3", "", "e9 fb ef 7f 00",
     "89 f8 c3", false, true},
};

Function describe(const Golden& golden, const std::vector<u8>& bytes, u64 address) {
  Function function;
  const u64 size = from_hex(golden.before).size();
  function.code = {address, bytes.data(), size};
  function.gap = static_cast<u32>(bytes.size() - size);
  return function;
}

using Callable = u64 (*)(u64, u64);

constexpr u64 arguments[][2] = {{0, 0}, {1, 0}, {0, 1}, {2, 3}, {1, ~u64{0}}, {~u64{0}, 5}};

std::vector<u64> results_of(u64 entry) {
  std::vector<u64> results;
  for (const auto& pair : arguments) {
    results.push_back(reinterpret_cast<Callable>(entry)(pair[0], pair[1]));
  }
  return results;
}

}  // namespace

TEST_CASE("entries are patched and moved as the golden pairs say") {
  for (const Golden& golden : goldens) {
    INFO(golden.what);
    const std::vector<u8> bytes = from_hex(std::string(golden.before) + golden.behind);
    const Plan made = plan(describe(golden, bytes, entry_address), stub_address, native_address);
    CHECK(std::string(text_of(made.refusal)) == "none");
    CHECK(made.how == How::jump);
    CHECK(to_hex(made.patched, made.size) == golden.patched);
    CHECK(to_hex(made.native, made.native_size) == golden.native);
    CHECK(made.single == golden.single);
    CHECK(std::equal(made.original, made.original + jump_size,
                     bytes.begin() + static_cast<long>(made.at - entry_address)));
  }
}

TEST_CASE("patched functions do what they did, through stub and native path") {
  for (const Golden& golden : goldens) {
    if (!golden.runs) {
      continue;
    }
    INFO(golden.what);
    const Text text(from_hex(std::string(golden.before) + golden.behind));
    const std::vector<u64> before = results_of(text.entry());
    // Our own copy of the bytes: the plan must come out the same however they are handed in.
    const std::vector<u8> bytes = from_hex(std::string(golden.before) + golden.behind);
    static Patcher patcher;
    patcher.start(enter_target_offset());
    const Installed installed =
        patcher.install({.function = describe(golden, bytes, text.entry())}, Threads::one);
    REQUIRE(installed.index >= 0);
    CHECK(installed.how == How::jump);
    CHECK(*pointer_to<u8>(patcher.plan(static_cast<u32>(installed.index)).at) == 0xe9);
    std::vector<u64> after = results_of(text.entry());
    // A function that returns an address of its own page returns it as before.
    CHECK(after == before);
    CHECK(patcher.uninstall(static_cast<u32>(installed.index), Threads::one));
    CHECK(std::memcmp(text.bytes(), bytes.data(), bytes.size()) == 0);
    CHECK(results_of(text.entry()) == before);
    patcher.modules_changed();  // the text goes; so does the slot
  }
}

TEST_CASE("an int3 moves the first instruction only") {
  const std::vector<u8> bytes = from_hex("41 ff d3 48 83 c4 08 c3");  // call *%r11; add; ret
  Function function;
  function.code = {entry_address, bytes.data(), bytes.size()};
  const Plan made = plan(function, stub_address, native_address);
  CHECK(made.how == How::trap);
  CHECK(made.refusal == Refusal::return_into_entry);
  CHECK(to_hex(made.patched, made.size) == "cc");
  CHECK(to_hex(made.native, made.native_size) == "68 03 10 00 40 c7 44 24 04 00 00 00 00 41 ff e3");
}

TEST_CASE("branches too far for rel32 go through a pointer") {
  const u64 far_native = entry_address + 0x7fffff80;  // the stub is in reach, the targets are not
  const std::vector<u8> bytes = from_hex("0f 84 10 f0 ff ff c3");  // je far behind the entry
  Function function;
  function.code = {entry_address, bytes.data(), bytes.size()};
  const Plan made = plan(function, far_native - native_offset, far_native);
  CHECK(made.how == How::jump);
  // jne over; jmp *0(%rip); .quad target; then back into the function
  CHECK(to_hex(made.native, made.native_size) ==
        "75 0e ff 25 00 00 00 00 16 00 00 40 00 00 00 00 e9 71 00 00 80");
}

TEST_CASE("addresses in a native path are told apart by instruction") {
  const std::vector<u8> bytes = from_hex("f3 0f 1e fa 48 85 ff 74 05 48 89 f8 c3 90 31 c0 c3");
  Function function;
  function.code = {entry_address, bytes.data(), bytes.size()};
  const Plan made = plan(function, stub_address, native_address);
  REQUIRE(made.move_count == 3);
  CHECK(made.at == entry_address + 4);
  CHECK(made.moves[0].original_offset == 4);
  CHECK(made.moves[1].original_offset == 7);
  CHECK(made.moves[1].native_offset == 3);
  CHECK(made.moves[2].original_offset == 9);  // the jump back stands for where it leads
  CHECK(made.resume == entry_address + 9);
}
