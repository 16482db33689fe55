// What brought a made-up process to abort(), and who is blamed for it.
#include <catch2/catch.hpp>
#include <csignal>
#include <map>

#include "lib/recover/abort_story.h"
#include "lib/recover/never_returns.h"
#include "test/recover/made_up_process.h"

using namespace made_up;

namespace {

// libc's functions, and the C++ runtime's, which is the same made-up module.
constexpr u64 in_raise = libc + 0x1000;
constexpr u64 in_abort = libc + 0x1100;
constexpr u64 in_assert_fail = libc + 0x1200;
constexpr u64 in_message = libc + 0x1300;  // not exported
constexpr u64 in_free = libc + 0x1400;
constexpr u64 in_canary_check = libc + 0x1500;
constexpr u64 in_terminate = libc + 0x1600;
constexpr u64 in_throw = libc + 0x1700;

const char* name_of_function(u64 address) {
  static const std::map<u64, const char*> names = {
      {in_raise, "raise"},
      {in_abort, "abort"},
      {in_free, "free"},
      {in_assert_fail, "__assert_fail"},
      {in_throw, "__cxa_throw"},
      {in_canary_check, "__stack_chk_fail"},
      {in_terminate, "_ZSt9terminatev"},
  };
  const auto found = names.find(address & ~u64{0xff});
  return found != names.end() ? found->second : nullptr;
}

struct Aborting : Process {
  recover::AbortClues clues = {name_of_function, [](u64) -> const char* { return nullptr; },
                               nullptr, nullptr, nullptr};

  Aborting() {
    std::memset(code, 0x90, sizeof code);
    for (unsigned f = 0; f < 16; ++f) {
      put(0x10ff + f * 0x100, {0xc3});  // each function returns
    }
  }

  // At the return addresses of calls in these functions; the first is where the signal came.
  static std::vector<recover::Frame> frames(const std::vector<u64>& functions) {
    std::vector<recover::Frame> all;
    for (const u64 function : functions) {
      recover::Frame frame{};
      frame.registers.rip = function + 0x20;
      frame.exact = all.empty();
      all.push_back(frame);
    }
    return all;
  }

  recover::AbortStory tell(const std::vector<u64>& functions) {
    return recover::tell_abort(frames(functions), view(), clues);
  }

  FaultRecord blame(FaultKind kind, const std::vector<u64>& functions) {
    Fault fault{};
    fault.kind = kind;
    fault.signal = SIGABRT;
    fault.code = -6;
    fault.registers.rip = functions[0] + 0x20;
    FaultRecord record;
    recover::diagnose(fault, frames(functions), view(), record);
    return record;
  }
};

constexpr u64 f0 = program + 0x1000;
constexpr u64 f1 = program + 0x1100;
const std::vector<u8> call_before_return = {0xe8, 0, 0, 0, 0};  // ends where the frame returns to

}  // namespace

TEST_CASE("an abort without more is one", "[abort]") {
  Aborting process;
  const auto story = process.tell({in_raise, in_abort, f0, f1});
  CHECK(story.kind == FaultKind::abort);
  CHECK(story.certain);
  CHECK(std::string(story.message).empty());
}

TEST_CASE("a raise may be survived", "[abort]") {
  Aborting process;
  const auto story = process.tell({in_raise, f0, f1});
  CHECK(story.kind == FaultKind::abort);
  CHECK_FALSE(story.certain);
}

TEST_CASE("exported names tell assertions, canaries and exceptions apart", "[abort]") {
  Aborting process;
  CHECK(process.tell({in_raise, in_abort, in_assert_fail, f0}).kind == FaultKind::assertion);
  CHECK(process.tell({in_raise, in_abort, in_message, in_canary_check, f0}).kind ==
        FaultKind::smashed_stack);
  CHECK(process.tell({in_raise, in_abort, in_terminate, in_throw, f0}).kind ==
        FaultKind::terminate);
}

TEST_CASE("names beyond the application's own function say nothing", "[abort]") {
  Aborting process;
  CHECK(process.tell({in_raise, in_abort, f0, in_assert_fail, f1}).kind == FaultKind::abort);
}

TEST_CASE("libc's last words tell what the allocator found", "[abort]") {
  const std::map<std::string, FaultKind> words = {
      {"double free or corruption (fasttop)\n", FaultKind::bad_free},
      {"double free or corruption (!prev)\n", FaultKind::bad_free},
      {"double free or corruption (out)\n", FaultKind::heap_corruption},
      {"free(): double free detected in tcache 2\n", FaultKind::bad_free},
      {"free(): invalid pointer\n", FaultKind::bad_free},
      {"munmap_chunk(): invalid pointer\n", FaultKind::bad_free},
      {"free(): invalid size\n", FaultKind::heap_corruption},
      {"free(): invalid next size (fast)\n", FaultKind::heap_corruption},
      {"malloc(): corrupted top size\n", FaultKind::heap_corruption},
      {"malloc_consolidate(): unaligned fastbin chunk detected\n", FaultKind::heap_corruption},
      {"realloc(): invalid next size\n", FaultKind::heap_corruption},
      {"realloc(): invalid pointer\n", FaultKind::bad_free},
      {"corrupted size vs. prev_size\n", FaultKind::heap_corruption},
      {"corrupted double-linked list\n", FaultKind::heap_corruption},
      {"Fatal glibc error: malloc assertion failure in sysmalloc: x\n", FaultKind::heap_corruption},
      {"*** buffer overflow detected ***: terminated\n", FaultKind::fortify},
      {"*** stack smashing detected ***: terminated\n", FaultKind::smashed_stack},
      {"*** %n in writable segment detected ***\n", FaultKind::fortify},
      {"*** longjmp causes uninitialized stack frame ***: terminated\n", FaultKind::fortify},
      {"The futex facility returned an unexpected error code.\n", FaultKind::abort},
  };
  for (const auto& [text, kind] : words) {
    Aborting process;
    process.clues.libc_message = text.c_str();
    const auto story = process.tell({in_raise, in_abort, in_message, in_free, f0});
    INFO(text);
    CHECK(story.kind == kind);
    CHECK(std::string(story.message) + "\n" == text);
  }
}

TEST_CASE("last words of an earlier abort, which was survived, are not believed", "[abort]") {
  Aborting process;
  process.clues.libc_message = "free(): invalid pointer\n";
  const auto story = process.tell({in_raise, in_abort, f0, f1});
  CHECK(story.kind == FaultKind::abort);
  CHECK(std::string(story.message).empty());
}

TEST_CASE("an assertion's words lose the program's name", "[abort]") {
  Aborting process;
  process.clues.libc_message = "httpd: a.c:3: f: Assertion `x > 0' failed.\n";
  const auto story = process.tell({in_raise, in_abort, in_assert_fail, f0});
  CHECK(std::string(story.message) == "a.c:3: f: Assertion `x > 0' failed.");
}

TEST_CASE("an exception is named by its type", "[abort]") {
  Aborting process;
  process.clues.exception_type = [](u64) { return "St13runtime_error"; };
  CHECK(std::string(process.tell({in_raise, in_abort, in_terminate, in_throw, f0}).message) ==
        "uncaught exception of type std::runtime_error");
}

TEST_CASE("the site is the call that led to the abort", "[abort]") {
  Aborting process;
  process.put(0x101b, call_before_return);
  const FaultRecord record = process.blame(FaultKind::abort, {in_raise, in_abort, f0, f1});
  CHECK(record.region.entry.offset == 0x1000);
  CHECK(record.blamed_frame == 2);
  CHECK(record.site.offset == 0x101b);
  CHECK(record.instruction[0] == 0xe8);
  CHECK(record.fault.registers.rip == f0 + 0x1b);
}

TEST_CASE("a system call of the function's own is the site itself", "[abort]") {
  Aborting process;
  process.put(0x101e, {0x0f, 0x05});
  const FaultRecord record = process.blame(FaultKind::abort, {f0, f1});
  CHECK(record.blamed_frame == 0);
  CHECK(record.site.offset == 0x101e);
}

TEST_CASE("functions that never return are not blamed", "[abort]") {
  Aborting process;
  process.put(0x10ff, {0x90});  // f0 does not return
  process.put(0x111b, call_before_return);
  const FaultRecord record = process.blame(FaultKind::abort, {in_raise, in_abort, f0, f1});
  CHECK(record.region.entry.offset == 0x1100);
  CHECK(record.site.offset == 0x111b);
}

TEST_CASE("a return or a jump to another function is a way back", "[abort]") {
  Aborting process;
  const auto never = [&process](u64 offset) {
    image::Function function{};
    function.start = program + offset;
    function.size = 0x100;
    return recover::never_returns(process.view(), function);
  };
  CHECK_FALSE(never(0x1000));
  process.put(0x10ff, {0x90});
  CHECK(never(0x1000));
  process.put(0x1050, {0xe9, 0x00, 0x01, 0x00, 0x00});  // jmp to f1
  CHECK_FALSE(never(0x1000));
  process.put(0x1050, {0xe9, 0xb0, 0x07, 0x00, 0x00});  // jmp to a cold part
  CHECK(never(0x1000));
  process.put(0x1050, {0xeb, 0xfe, 0x90, 0x90, 0x90});  // an endless loop
  CHECK(never(0x1000));
  process.put(0x1050, {0xf3, 0xc3});
  CHECK_FALSE(never(0x1000));
}

TEST_CASE("main is not blamed for a signal it sends itself, others are", "[abort]") {
  Aborting process;
  const auto blamed_size = [&process](const std::vector<u64>& functions) {
    FaultRecord record = process.blame(FaultKind::abort, functions);
    recover::spare_main(record, Aborting::frames(functions), process.view());
    return record.region.size;
  };
  CHECK(blamed_size({in_raise, f0, libc + 0x1800, f1}) == 0);
  CHECK(blamed_size({in_raise, f0, f1, libc + 0x1800}) != 0);
}
