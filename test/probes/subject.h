// The program under test: one scenario a run, by name. It prints what it sees; it must not print
// addresses that differ from run to run.
#pragma once

#include <errno.h>
#include <initializer_list>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

namespace subject {

using Function = int (*)();

struct Scenario {
  Scenario(const char* scenario_name, Function scenario_function);
  const char* name;
  Function function;
  Scenario* next;
};

#define SCENARIO(name)                                                      \
  static int scenario_##name();                                             \
  static const subject::Scenario registered_##name(#name, scenario_##name); \
  static int scenario_##name()

// Faults whose next instruction is in r15, so that handlers (and the recorder) can go on. They
// return 1 when they did.
int null_read();
int null_write();
int wild_read();  // non-canonical: no address in siginfo
int divide_by_zero();
int illegal_instruction();
int bus_error();  // past the end of a mapped file
int jump_to_data();
int jump_to_nowhere();  // non-canonical
int floating_point_error();
int overflow_stack(int depth);

void install(int signal, void (*handler)(int, siginfo_t*, void*), int flags,
             std::initializer_list<int> mask = {});

// Of a signal handler's third argument.
inline void go_on_at_r15(void* context) {
  auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  registers[REG_RIP] = registers[REG_R15];
}

inline bool blocked_now(int signal) {
  sigset_t set;
  sigprocmask(SIG_BLOCK, nullptr, &set);
  return sigismember(&set, signal) == 1;
}

inline const char* yes(bool b) {
  return b ? "yes" : "no";
}

}  // namespace subject
