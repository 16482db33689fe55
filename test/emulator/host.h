// Plays the runtime for the engine's tests: a function called through host::entry runs as a region.
//
//   host::target = f; entry(a, b)  ──► push index; jmp enter trampoline ──► host's run function
//                                        emulator::run, commit or rollback, leave trampoline ──►
//                                        back
#pragma once

#include "emulator/engine.h"
#include "emulator/undo_log.h"

namespace selfheal::emulator::host {

enum class AfterFault : u8 { roll_back_and_return, commit_and_go_on };

struct Session {
  u64 target;  // function to run as a region
  AfterFault after_fault;
  bool roll_back_always;  // also after a normal return
  u64 virtual_value;      // rax after a rollback
  Outcome outcome;        // of the last activation
  RollbackResult undone;
  Registers guest;  // when it ended
  Fault fault;
  void (*body)(Thread&);  // instead of all the rest: what runs on the engine's stack
  u64 vectors;            // address of an XSAVE area to fill when it ended with a fault, or 0
  // Copied when the activation has ended, before anything is rolled back.
  struct Snapshot {
    u64 from, to, size;
  } snapshots[4];
};

extern Session session;

inline constexpr u64 default_budget = 20'000'000;

// Starts the engine and attaches this thread; handles the processor's signals. Once.
void start(u64 budget = default_budget);

// Budget, code kind: what the tests vary.
void set_code_kind(CodeKind (*kind)(u64));

// For a native fault, when a test wants to see it: called when the fault is not the engine's.
extern void (*on_native_fault)(int, siginfo_t*, void*);

extern "C" void selfheal_test_entry();

template <typename Result, typename... Arguments>
Result call(Result (*function)(Arguments...), Arguments... arguments) {
  session.target = reinterpret_cast<u64>(function);
  return reinterpret_cast<Result (*)(Arguments...)>(&selfheal_test_entry)(arguments...);
}

}  // namespace selfheal::emulator::host
