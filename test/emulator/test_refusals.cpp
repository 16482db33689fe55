// Instructions that the fuzzer cannot run natively, as they would take the process apart: the
// engine stops before them, with everything as it was.
#include <catch2/catch.hpp>
#include <cstring>

#include "test/emulator/differential/code.h"
#include "test/emulator/differential/harness.h"

using namespace selfheal;
using namespace selfheal::differential;

namespace {

struct Refused {
  const char* what;
  Code code;
};

const Refused refused[] = {
    {"wrfsbase %rax", {0xf3, 0x48, 0x0f, 0xae, 0xd0}},
    {"wrfsbase %eax", {0xf3, 0x0f, 0xae, 0xd0}},
    {"mov %ax, %fs", {0x8e, 0xe0}},
    {"pop %fs", {0x0f, 0xa1}},
    {"lfs (%rax), %rcx", {0x48, 0x0f, 0xb4, 0x08}},
    {"int $0x80", {0xcd, 0x80}},
    {"sysenter", {0x0f, 0x34}},
    {"vmcall", {0x0f, 0x01, 0xc1}},
    {"vmmcall", {0x0f, 0x01, 0xd9}},
};

State draw_state(u64 at) {
  State s{};
  for (unsigned i = 0; i < gpr_count; ++i) {
    s.gpr[i] = data_base + page_size + 256 * i;
  }
  s.rflags = 0x202;
  s.rip = at;
  const u16 x87_control = 0x37f;
  const u32 mxcsr = 0x1f80;
  std::memcpy(s.vectors, &x87_control, 2);
  std::memcpy(s.vectors + 24, &mxcsr, 4);
  return s;
}

}  // namespace

TEST_CASE("what would take the process apart is left to it, with everything as it was") {
  Harness harness;
  for (u64 i = 0; i < std::size(refused); ++i) {
    const Refused& r = refused[i];
    INFO(r.what);
    const u64 at = Arena::place(i);
    harness.arena.put(at, r.code.all());
    Harness::set_code(at, r.code.size());
    const State start = draw_state(at);
    State state = start;
    static Image before;
    static Image after;
    Arena::store(before);
    EngineRun run;
    run_in_engine(state, 64, run);
    Arena::store(after);
    CHECK(run.stop == emulator::Stop::unsupported);
    CHECK(run.reason != nullptr);
    CHECK(state.rip == at);
    CHECK(std::memcmp(state.gpr, start.gpr, sizeof start.gpr) == 0);
    CHECK(state.rflags == start.rflags);
    CHECK(before == after);
    emulator::this_thread.log.commit();
  }
}
