// The smallest runtime: installs the probes and counts what they say. PROBES_TEST_MODE:
//   resume   a fault goes on at the address in r15
//   crash    the fault hook itself faults, wildly
//   guard    the fault hook calls something that faults, guarded, twice nested
//   sent     while the fault hook is at it, the main thread is sent the same signal
//   trap-... SIGTRAP is watched as well; then as the rest says
//   own      thread_fault takes every fault, and goes on at the address in r15
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/raw_syscall.h"
#include "probes/hooks.h"
#include "probes/sandbox.h"
#include "test/probes/events.h"

namespace {

using namespace selfheal;
using namespace selfheal::probes;
using probes_test::Events;

constinit Events* events = nullptr;
constinit const char* mode = "";

void count(unsigned& counter) {
  __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
}

void go_on_at_r15(SignalContext& signal) {
  signal.context->uc_mcontext.gregs[REG_RIP] = signal.context->uc_mcontext.gregs[REG_R15];
}

void fault_hard(void*) {
  asm volatile("movl $1, 0x10");
}

void fault_after_surviving_another(void*) {
  if (!guarded(fault_hard, nullptr)) {
    count(events->guarded_failures);
  }
  fault_hard(nullptr);
}

u64 seconds() {
  timespec now{};
  raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, address_of(&now));
  return static_cast<u64>(now.tv_sec);
}

void wait_for(const unsigned& counter) {
  constexpr u64 limit = 20;
  const u64 end = seconds() + limit;
  while (__atomic_load_n(&counter, __ATOMIC_ACQUIRE) == 0 && seconds() < end) {
    raw_syscall(SYS_sched_yield);
  }
}

// Returns when the main thread has got the signal and makes a blocking call again: then it has left
// the handler. If it dies of the signal, there is nobody to return to.
void send_to_main_thread(int signal) {
  const auto process = static_cast<u64>(raw_syscall(SYS_getpid));
  raw_syscall(SYS_tgkill, process, process, static_cast<u64>(signal));
  wait_for(events->arrivals);
  __atomic_fetch_add(&events->generation, 1, __ATOMIC_RELEASE);
  wait_for(events->progress);
}

Verdict fault(const Fault& seen, SignalContext& signal) {
  count(events->faults);
  if (seen.kind == FaultKind::other_signal) {
    count(events->other_faults);
  } else if (strcmp(mode, "sent") == 0) {
    send_to_main_thread(seen.signal);
  }
  events->last = seen;
  if (strcmp(mode, "crash") == 0) {
    asm volatile("movabs $0x1234567890abcdef, %%rax; mov (%%rax), %%rsp" ::: "rax", "memory");
  }
  if (strcmp(mode, "guard") == 0 && !guarded(fault_after_surviving_another, nullptr)) {
    count(events->guarded_failures);
  }
  if (strcmp(mode, "resume") == 0 && seen.kind != FaultKind::other_signal) {
    go_on_at_r15(signal);
    return Verdict::resume;
  }
  return Verdict::die;
}

bool thread_fault(SignalContext& signal) {
  if (strcmp(mode, "own") != 0) {
    return false;
  }
  count(events->thread_faults);
  go_on_at_r15(signal);
  return true;
}

void* prepare(const Fault& seen, SignalContext&) {
  count(events->prepares);
  events->pending = seen;
  return &events->pending;
}

void commit(void* token) {
  if (token == &events->pending) {
    count(events->commits);
  }
}

// With -z initfirst this runs before libc's own constructor: getenv finds nothing yet.
const char* variable(char** environment, const char* name) {
  const size_t length = strlen(name);
  for (; *environment != nullptr; ++environment) {
    if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
      return *environment + length + 1;
    }
  }
  return nullptr;
}

__attribute__((constructor)) void start(int, char**, char** environment) {
  const char* path = variable(environment, probes_test::events_variable);
  const int file = path != nullptr ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) {
    return;
  }
  void* mapping = mmap(nullptr, sizeof(Events), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapping == MAP_FAILED) {
    return;
  }
  events = static_cast<Events*>(mapping);
  if (const char* wanted = variable(environment, probes_test::mode_variable)) {
    mode = strdup(wanted);
  }
  Hooks hooks;
  hooks.thread_fault = thread_fault;
  hooks.fault = fault;
  hooks.prepare = prepare;
  hooks.commit = commit;
  hooks.thread_started = [] { count(events->threads_started); };
  hooks.thread_ending = [] { count(events->threads_ended); };
  hooks.thread_signal = [](const Arrival& arrival) {
    count(events->arrivals);
    return arrival.frame;
  };
  hooks.progress = [](BlockingCall) {
    count(events->progress);
    return true;
  };
  hooks.fork_child = [] { count(events->fork_children); };
  hooks.filter_installed = [] {
    count(events->filters);
    events->answer_of_sigreturn = static_cast<unsigned>(answer(Call::rt_sigreturn));
  };
  if (!install(hooks)) {
    abort();
  }
  if (strncmp(mode, "trap", 4) == 0) {
    watch_traps();
    mode += mode[4] == '-' ? 5 : 4;
  }
  watch_generation(&events->generation);
}

}  // namespace
