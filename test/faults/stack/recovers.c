// Deals with the end of its stack by itself, as programs with libsigsegv do: a handler on an
// alternate stack jumps out of the recursion.
#include <setjmp.h>
#include <signal.h>

#include "test/faults/stack/server.h"

static sigjmp_buf way_out;

static void on_fault(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)info;
  (void)context;
  siglongjmp(way_out, 1);
}

static __attribute__((noinline)) long sum_up_to(long n) {
  volatile long kept = n;
  return n == 0 ? 0 : sum_up_to(n - 1) + kept;
}

static void serve(char* request, char* answer) {
  if (sigsetjmp(way_out, 1) != 0) {
    snprintf(answer, longest_answer, "recovered");
    return;
  }
  snprintf(answer, longest_answer, "%ld", sum_up_to(strtol(request, NULL, 10)));
}

int main(int count, char** arguments) {
  static char alternate[65536];
  const stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaltstack(&stack, NULL);
  sigaction(SIGSEGV, &action, NULL);
  return run_server(count, arguments, serve);
}
