// Handlers of the application's, in all variants.
#include <execinfo.h>

#include "test/probes/subject.h"

using namespace subject;

namespace {

sigjmp_buf landing;
volatile int calls = 0;

void skip(int signal, siginfo_t* info, void* context) {
  calls = calls + 1;
  printf("signal %d code %d address %p\n", signal, info->si_code, info->si_addr);
  go_on_at_r15(context);
}

void skip_quietly(int, siginfo_t*, void* context) {
  calls = calls + 1;
  go_on_at_r15(context);
}

void jump(int signal) {
  printf("signal %d, blocked inside: %s\n", signal, yes(blocked_now(signal)));
  siglongjmp(landing, 1);
}

void note_user_signal(int) {
  puts("user signal");
}

}  // namespace

SCENARIO(siginfo_handler) {
  install(SIGSEGV, skip, SA_SIGINFO);
  install(SIGFPE, skip, SA_SIGINFO);
  for (int i = 0; i < 3; ++i) {
    printf("%d\n", null_read() + null_write() + wild_read());
  }
  printf("blocked after: %s\n", yes(blocked_now(SIGSEGV)));
  return 0;
}

SCENARIO(plain_handler_jumps) {
  signal(SIGSEGV, jump);
  for (volatile int i = 0; i < 3; i = i + 1) {
    if (sigsetjmp(landing, 1) == 0) {
      null_read();
    }
    printf("landed, blocked: %s\n", yes(blocked_now(SIGSEGV)));
  }
  return 0;
}

SCENARIO(jump_from_deeper_each_time) {
  signal(SIGSEGV, jump);
  for (volatile int i = 0; i < 5; i = i + 1) {
    if (sigsetjmp(landing, 1) == 0) {
      char* room = static_cast<char*>(__builtin_alloca(static_cast<size_t>(i * 3000 + 16)));
      memset(room, i, 16);
      null_read();
    }
  }
  puts("done");
  return 0;
}

SCENARIO(jump_without_mask_blocks_the_next) {
  signal(SIGSEGV, jump);
  if (sigsetjmp(landing, 0) == 0) {
    null_read();
  }
  printf("landed, blocked: %s\n", yes(blocked_now(SIGSEGV)));
  null_read();
  return 0;
}

SCENARIO(reset_handler) {
  install(SIGSEGV, skip, static_cast<int>(SA_SIGINFO | SA_RESETHAND));
  null_read();
  struct sigaction now {};
  sigaction(SIGSEGV, nullptr, &now);
  printf("default now: %s, flags %x\n", yes(now.sa_handler == SIG_DFL), now.sa_flags);
  null_read();
  return 0;
}

SCENARIO(system_v_handler) {
  sysv_signal(SIGFPE, jump);
  if (sigsetjmp(landing, 1) == 0) {
    divide_by_zero();
  }
  divide_by_zero();
  return 0;
}

namespace {

void raise_again(int signal, siginfo_t*, void* context) {
  const int depth = calls;
  calls = calls + 1;
  printf("enter %d blocked %s\n", depth, yes(blocked_now(signal)));
  if (depth < 2) {
    raise(signal);
  }
  printf("leave %d\n", depth);
  if (depth == 0) {
    go_on_at_r15(context);
  }
}

}  // namespace

SCENARIO(raise_inside_is_deferred) {
  install(SIGSEGV, raise_again, SA_SIGINFO);
  return null_read() == 1 ? 0 : 1;
}

SCENARIO(raise_inside_nests_with_nodefer) {
  install(SIGSEGV, raise_again, static_cast<int>(SA_SIGINFO | SA_NODEFER));
  return null_read() == 1 ? 0 : 1;
}

SCENARIO(fault_inside_kills) {
  install(
      SIGSEGV,
      [](int, siginfo_t*, void*) {
        puts("in handler");
        null_write();
      },
      SA_SIGINFO);
  null_read();
  return 0;
}

SCENARIO(fault_inside_nests_with_nodefer) {
  install(
      SIGSEGV,
      [](int, siginfo_t*, void* context) {
        calls = calls + 1;
        printf("in handler %d\n", calls);
        if (calls < 3) {
          null_write();
        }
        go_on_at_r15(context);
      },
      static_cast<int>(SA_SIGINFO | SA_NODEFER));
  null_read();
  return calls;
}

SCENARIO(other_fault_inside_is_handled) {
  install(SIGFPE, skip, SA_SIGINFO);
  install(
      SIGSEGV,
      [](int, siginfo_t*, void* context) {
        puts("in handler");
        divide_by_zero();
        go_on_at_r15(context);
      },
      SA_SIGINFO);
  return null_read() == 1 ? 0 : 1;
}

SCENARIO(handler_mask) {
  signal(SIGUSR1, note_user_signal);
  install(SIGSEGV,
          [](int, siginfo_t*, void* context) {
            raise(SIGUSR1);
            printf("user signal blocked: %s, bus error blocked: %s\n", yes(blocked_now(SIGUSR1)),
                   yes(blocked_now(SIGBUS)));
            go_on_at_r15(context);
          },
          SA_SIGINFO, {SIGUSR1, SIGBUS});
  null_read();
  printf("after: %s %s\n", yes(blocked_now(SIGUSR1)), yes(blocked_now(SIGBUS)));
  return 0;
}

SCENARIO(handler_changes_the_mask_to_return_to) {
  install(
      SIGSEGV,
      [](int, siginfo_t*, void* context) {
        auto* mask = &static_cast<ucontext_t*>(context)->uc_sigmask;
        printf("saved mask has it: %s\n", yes(sigismember(mask, SIGSEGV)));
        sigaddset(mask, SIGUSR2);
        sigaddset(mask, SIGFPE);
        go_on_at_r15(context);
      },
      SA_SIGINFO);
  null_read();
  printf("%s %s %s\n", yes(blocked_now(SIGUSR2)), yes(blocked_now(SIGFPE)),
         yes(blocked_now(SIGSEGV)));
  return 0;
}

SCENARIO(vector_registers_and_flags_survive) {
  install(
      SIGSEGV,
      [](int, siginfo_t*, void* context) {
        asm volatile("vpxor %%ymm3, %%ymm3, %%ymm3; vzeroall; fninit; stc" ::: "cc", "ymm3");
        go_on_at_r15(context);
      },
      SA_SIGINFO);
  alignas(32) unsigned char in[32];
  alignas(32) unsigned char out[32];
  memset(in, 0x5a, sizeof in);
  memset(out, 0, sizeof out);
  unsigned long flags = 0;
  for (int i = 0; i < 50; ++i) {
    asm volatile(
        "vmovdqa (%1), %%ymm3\n\tlea 1f(%%rip), %%r15\n\tmov $-1, %%eax\n\tadd $1, %%eax\n\t"
        "mov 0(%3), %%rax\n\tud2\n1:\tpushf\n\tpop %0\n\tvmovdqa %%ymm3, (%2)"
        : "=&r"(flags)
        : "r"(in), "r"(out), "r"(0L)
        : "rax", "r15", "ymm3", "memory", "cc");
  }
  printf("vector %s, flags %lx\n", yes(memcmp(in, out, 32) == 0), flags & 0x8d5);
  return 0;
}

// Leaf code may use 128 bytes below rsp.
SCENARIO(red_zone_survives) {
  install(SIGSEGV, skip_quietly, SA_SIGINFO);
  unsigned long kept = 0;
  asm volatile(
      "lea 1f(%%rip), %%r15\n\tmovq $0x123456, -128(%%rsp)\n\tmovq $0x654321, -8(%%rsp)\n\t"
      "mov 0(%1), %%rax\n\tud2\n1:\tmov -128(%%rsp), %0\n\tadd -8(%%rsp), %0"
      : "=&r"(kept)
      : "r"(0L)
      : "rax", "r15", "memory", "cc");
  printf("%lx\n", kept);
  return 0;
}

SCENARIO(backtrace_reaches_main) {
  install(
      SIGSEGV,
      [](int, siginfo_t*, void* context) {
        void* frames[64];
        const int n = backtrace(frames, 64);
        const auto rip =
            reinterpret_cast<void*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
        int from_fault = -1;
        for (int i = 0; i < n; ++i) {
          if (frames[i] == rip) {
            from_fault = n - i;
          }
        }
        printf("frames from the fault outwards: %d\n", from_fault);
        go_on_at_r15(context);
      },
      SA_SIGINFO);
  return null_read() == 1 ? 0 : 1;
}

SCENARIO(sent_signals_reach_handlers) {
  install(
      SIGSEGV,
      [](int signal, siginfo_t* info, void*) {
        printf("%d code %d mine %s value %d\n", signal, info->si_code,
               yes(info->si_pid == getpid()),
               info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
      },
      SA_SIGINFO);
  raise(SIGSEGV);
  kill(getpid(), SIGSEGV);
  sigval value{};
  value.sival_int = 42;
  sigqueue(getpid(), SIGSEGV, value);
  return 0;
}

SCENARIO(ignored_sent_signals) {
  signal(SIGFPE, SIG_IGN);
  signal(SIGSEGV, SIG_IGN);
  raise(SIGFPE);
  kill(getpid(), SIGSEGV);
  puts("still here");
  divide_by_zero();
  return 0;
}
