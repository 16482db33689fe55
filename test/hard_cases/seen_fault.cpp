#include "test/hard_cases/seen_fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

namespace hard {
namespace {

sigjmp_buf back;
uint64_t near;
bool telling;

void relative(char (&text)[32], uint64_t address) {
  const auto distance = static_cast<int64_t>(address - near);
  if (distance >= -65536 && distance <= 65536) {
    snprintf(text, sizeof text, "%+ld", distance);
  } else {
    snprintf(text, sizeof text, "0x%lx", address);
  }
}

void tell(int signal, siginfo_t* info, void* context) {
  const auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  char address[32];
  char rip[32];
  relative(address, reinterpret_cast<uint64_t>(info->si_addr));
  relative(rip, static_cast<uint64_t>(registers[REG_RIP]));
  say("SIG%s code %d trap %lld error %lld at %s rip %s\n", sigabbrev_np(signal), info->si_code,
      registers[REG_TRAPNO], registers[REG_ERR], address, rip);
}

void handle(int signal, siginfo_t* info, void* context) {
  // The kernel leaves the alignment check on, which nothing in libc bears.
  asm volatile("pushfq; andq $~0x40000, (%%rsp); popfq" ::: "cc", "memory");
  if (telling) {
    tell(signal, info, context);
  }
  siglongjmp(back, signal);
}

int run(void (*f)()) {
  constexpr int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  for (const int signal : signals) {
    sigaction(signal, &action, nullptr);
  }
  const int signal = sigsetjmp(back, 1);
  if (signal == 0) {
    f();
  }
  return signal;
}

}  // namespace

bool tells_fault(uint64_t base, void (*f)()) {
  near = base;
  telling = true;
  return run(f) != 0;
}

int signal_raised_by(void (*f)()) {
  telling = false;
  return run(f);
}

}  // namespace hard
