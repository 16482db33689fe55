// Signals that come while a thread is in the engine: what their handlers see, and when (issue 3,
// item 4).
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/hard_cases/signal_tools.h"
#include "test/hard_cases/subject.h"

using namespace hard;

extern "C" {
extern char spin_begin;
extern char spin_end;
extern char tight_begin;
extern char tight_end;
}

// A loop whose only way out is a handler that changes a register.
HARD_CASE(signal_in_a_one_instruction_loop, "left the loop by its handler\n") {
  handle(SIGUSR1, [](int, siginfo_t*, void* context) {
    greg_t* registers = registers_of(context);
    if (inside(static_cast<uint64_t>(registers[REG_RIP]), &tight_begin, &tight_end)) {
      registers[REG_RIP] = reinterpret_cast<greg_t>(&tight_end);
    }
  });
  const Sender sender(SIGUSR1);
  asm volatile("tight_begin: jmp tight_begin\n tight_end:" ::: "memory");
  in_engine(__LINE__);
  say("left the loop by its handler\n");
  return 0;
}

// Each handler sees the loop's own registers: rcx counts up, rdx is its complement.
HARD_CASE(handler_sees_the_guests_registers, "no wrong context\n") {
  static std::atomic<int> wrong;
  handle(SIGUSR1, [](int, siginfo_t*, void* context) {
    const greg_t* r = registers_of(context);
    if (!inside(static_cast<uint64_t>(r[REG_RIP]), &spin_begin, &spin_end)) {
      return;  // before or after the loop
    }
    ++count;
    const bool between = r[REG_RCX] == ~r[REG_RDX] || r[REG_RCX] == ~r[REG_RDX] + 1;
    const auto* stack = reinterpret_cast<const greg_t*>(r[REG_RSP]);
    if (!between || r[REG_R8] != 0x1234567890 || stack[0] != 0x77) {
      ++wrong;
    }
  });
  const Sender sender(SIGUSR1, 50'000);
  while (count < 50) {
    asm volatile(
        "sub $128, %%rsp\n push $0x77\n mov $0x1234567890, %%r8\n xor %%ecx, %%ecx\n"
        "mov $-1, %%rdx\n"
        "spin_begin: inc %%rcx\n dec %%rdx\n cmp $100000, %%rcx\n jne spin_begin\n spin_end:\n"
        "add $136, %%rsp\n"
        :
        :
        : "rcx", "rdx", "r8", "memory", "cc");
  }
  in_engine(__LINE__);
  say(wrong == 0 ? "no wrong context\n" : "%d wrong contexts\n", wrong.load());
  return 0;
}

// The interrupted code's vector registers are in the handler's frame, and come back.
HARD_CASE(vector_registers_survive_a_handler, "unchanged\n") {
  handle(SIGUSR1, [](int, siginfo_t*, void*) {
    ++count;
    asm volatile("pxor %%xmm1, %%xmm1\n pxor %%xmm7, %%xmm7" : : : "xmm1", "xmm7");
  });
  const Sender sender(SIGUSR1, 100'000);
  uint64_t bad = 0;
  while (count < 30) {
    uint64_t low = 0;
    uint64_t high = 0;
    asm volatile(
        "movq %2, %%xmm1\n movq %3, %%xmm7\n mov $20000, %%ecx\n"
        "1: movq %%xmm1, %%rax\n add $1, %%rax\n movq %%rax, %%xmm1\n dec %%ecx\n jnz 1b\n"
        "movq %%xmm1, %0\n movq %%xmm7, %1\n"
        : "=r"(low), "=r"(high)
        : "r"(uint64_t{5}), "r"(uint64_t{0xabcdef})
        : "rax", "rcx", "xmm1", "xmm7", "cc");
    bad += low != 20005 || high != 0xabcdef;
  }
  in_engine(__LINE__);
  say(bad == 0 ? "unchanged\n" : "changed %llu times\n", static_cast<unsigned long long>(bad));
  return 0;
}

HARD_CASE(signal_sent_to_oneself, "handled before raise returns: 1 2 3\n") {
  handle(SIGUSR1, note);
  raise(SIGUSR1);
  const int first = count;
  kill(getpid(), SIGUSR1);
  const int second = count;
  pthread_kill(pthread_self(), SIGUSR1);
  in_engine(__LINE__);
  say("handled before raise returns: %d %d %d\n", first, second, count.load());
  return 0;
}

HARD_CASE(handler_runs_on_its_alternate_stack, "on the alternate stack: 1, back on the own: 1\n") {
  static char stack[64 * 1024];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);
  handle(SIGUSR1, note, SA_ONSTACK);
  raise(SIGUSR1);
  const bool on = inside(seen_stack, stack, stack + sizeof stack);
  handle(SIGUSR1, note);
  raise(SIGUSR1);
  const bool off = !inside(seen_stack, stack, stack + sizeof stack);
  in_engine(__LINE__);
  say("on the alternate stack: %d, back on the own: %d\n", on, off);
  return 0;
}

HARD_CASE(handlers_nest, "deepest 3, order 123321\n") {
  static char order[16];
  static const auto write_down = [](int depth) {
    order[strlen(order)] = static_cast<char>('0' + depth);
  };
  handle(SIGUSR1, [](int, siginfo_t*, void*) {
    write_down(1);
    raise(SIGUSR2);
    write_down(1);
  });
  handle(SIGUSR2, [](int, siginfo_t*, void*) {
    write_down(2);
    raise(SIGTERM);
    write_down(2);
  });
  handle(SIGTERM, [](int, siginfo_t*, void*) {
    write_down(3);
    write_down(3);
  });
  raise(SIGUSR1);
  in_engine(__LINE__);
  say("deepest 3, order %s\n", order);
  return 0;
}

HARD_CASE(handler_mask_and_nodefer, "blocked by sa_mask: 1, itself: 1, not with SA_NODEFER: 1\n") {
  static std::atomic<int> masked;
  static std::atomic<int> itself;
  static std::atomic<int> nodefer;
  static const auto is_blocked = [](int signal) {
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, nullptr, &now);
    return sigismember(&now, signal);
  };
  handle(SIGUSR1,
         [](int, siginfo_t*, void*) {
           masked = is_blocked(SIGUSR2);
           itself = is_blocked(SIGUSR1);
         },
         0, {SIGUSR2});
  raise(SIGUSR1);
  handle(
      SIGUSR1, [](int, siginfo_t*, void*) { nodefer = !is_blocked(SIGUSR1); }, SA_NODEFER);
  raise(SIGUSR1);
  const bool restored = !is_blocked(SIGUSR1) && !is_blocked(SIGUSR2) && !is_blocked(SIGTERM);
  in_engine(__LINE__);
  say(restored ? "blocked by sa_mask: %d, itself: %d, not with SA_NODEFER: %d\n"
               : "the mask did not come back: %d %d %d\n",
      masked.load(), itself.load(), nodefer.load());
  return 0;
}

HARD_CASE(reset_handler_runs_once, "ran 1, then default: 1\n") {
  handle(SIGCHLD, note, static_cast<int>(SA_RESETHAND));
  raise(SIGCHLD);
  raise(SIGCHLD);
  struct sigaction now {};
  sigaction(SIGCHLD, nullptr, &now);
  in_engine(__LINE__);
  say("ran %d, then default: %d\n", count.load(), now.sa_handler == SIG_DFL);
  return 0;
}

HARD_CASE(sigaction_reports_the_applications_handler, "same handler, flags, mask: 1 1 1\n") {
  handle(SIGUSR1, note, SA_RESTART, {SIGUSR2});
  struct sigaction now {};
  sigaction(SIGUSR1, nullptr, &now);
  in_engine(__LINE__);
  say("same handler, flags, mask: %d %d %d\n", now.sa_sigaction == note,
      (now.sa_flags & ~0x04000000) == (SA_SIGINFO | SA_RESTART),
      sigismember(&now.sa_mask, SIGUSR2));
  return 0;
}

HARD_CASE(queued_signals_keep_their_values, "1 2 3 4 5\n") {
  static char text[32];
  handle(SIGRTMIN + 3, [](int, siginfo_t* info, void*) {
    text[strlen(text)] = static_cast<char>('0' + info->si_value.sival_int);
    text[strlen(text)] = ' ';
  });
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 3);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  for (int i = 1; i <= 5; ++i) {
    sigval value{};
    value.sival_int = i;
    sigqueue(getpid(), SIGRTMIN + 3, value);
  }
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  text[strlen(text) - 1] = '\0';
  in_engine(__LINE__);
  say("%s\n", text);
  return 0;
}

// A profiler's timer over a long computation: nothing of it may differ.
HARD_CASE(profiling_timer_changes_nothing, "sum 3594097009 of 400000, profiled\n") {
  handle(SIGPROF, note, SA_RESTART);
  itimerval timer{};
  timer.it_value.tv_usec = timer.it_interval.tv_usec = 1000;
  setitimer(ITIMER_PROF, &timer, nullptr);
  uint32_t sum = 0;
  uint32_t steps = 0;
  do {
    sum = 0;
    char text[32];
    for (steps = 0; steps < 400'000; ++steps) {
      sum = sum * 31 + steps;
      if (steps % 1000 == 0) {
        sum += static_cast<uint32_t>(snprintf(text, sizeof text, "%u", steps));
      }
    }
  } while (count < 5);
  timer = {};
  setitimer(ITIMER_PROF, &timer, nullptr);
  in_engine(__LINE__);
  say("sum %u of %u, profiled\n", sum, steps);
  return 0;
}

// rep lodsb over 64 MiB: one instruction, but the handler does not wait for its end.
HARD_CASE(signal_in_a_long_string_instruction, "read to the end, and handled in the middle\n") {
  constexpr size_t size = 64 << 20;
  static char* source;
  static std::atomic<int> middle;
  source = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  handle(SIGUSR1, [](int, siginfo_t*, void* context) {
    const greg_t* r = registers_of(context);
    const greg_t done = r[REG_RSI] - reinterpret_cast<greg_t>(source);
    if (done > 0 && done < static_cast<greg_t>(size) &&
        done + r[REG_RCX] == static_cast<greg_t>(size)) {
      ++middle;
    }
  });
  const Sender sender(SIGUSR1, 1'000'000);
  bool complete = true;
  for (int i = 0; i < 100 && middle == 0; ++i) {
    const char* next = source;
    size_t rest = size;
    asm volatile("rep lodsb" : "+S"(next), "+c"(rest) : : "rax", "memory");
    complete = complete && next == source + size && rest == 0;
  }
  munmap(source, size);
  in_engine(__LINE__);
  say(complete && middle > 0 ? "read to the end, and handled in the middle\n"
                             : "complete %d, middle %d\n",
      complete, middle.load());
  return 0;
}

// A fatal signal that somebody sends is handled like any other; the region then goes native.
HARD_CASE(sent_sigsegv_is_handled, "handled 1, sent by kill\n", .leaves = true) {
  static volatile int code;
  handle(SIGSEGV, [](int, siginfo_t* info, void*) {
    ++count;
    code = info->si_code;
  });
  kill(getpid(), SIGSEGV);
  say("handled %d, sent by %s\n", count.load(), code == SI_USER ? "kill" : "?");
  return 0;
}

HARD_CASE(handler_forks, "the child said 7, the loop went on\n") {
  static volatile int status;
  handle(SIGALRM, [](int, siginfo_t*, void*) {
    const pid_t child = fork();
    if (child == 0) {
      _exit(7);
    }
    int raw = 0;
    while (waitpid(child, &raw, 0) == -1 && errno == EINTR) {
    }
    status = WEXITSTATUS(raw);
  });
  itimerval timer{};
  timer.it_value.tv_usec = 2000;
  setitimer(ITIMER_REAL, &timer, nullptr);
  while (status == 0) {
  }
  in_engine(__LINE__);
  say("the child said %d, the loop went on\n", static_cast<int>(status));
  return 0;
}

HARD_CASE(handler_changes_vector_registers, "xmm3 became 42\n") {
  handle(SIGUSR1, [](int, siginfo_t*, void* context) {
    auto* state = static_cast<ucontext_t*>(context)->uc_mcontext.fpregs;
    const uint64_t value = 42;
    memcpy(&state->_xmm[3], &value, sizeof value);
  });
  uint64_t got = 0;
  const Sender sender(SIGUSR1);
  asm volatile("pxor %%xmm3, %%xmm3\n 1: movq %%xmm3, %0\n test %0, %0\n jz 1b"
               : "=r"(got)
               :
               : "xmm3", "cc");
  in_engine(__LINE__);
  say("xmm3 became %llu\n", static_cast<unsigned long long>(got));
  return 0;
}

REGION int add_up(int n) {
  volatile int sum = 0;
  for (int i = 0; i < n; ++i) {
    sum = sum + i;
  }
  return sum;
}

// The region is called again from a handler that interrupts it, in it and on its way in and out.
HARD_CASE_OF(handler_calls_the_region, "add_up", "no wrong sum\n") {
  static std::atomic<int> wrong;
  handle(SIGUSR1, [](int, siginfo_t*, void*) {
    ++count;
    wrong += (add_up(10) != 45);
  });
  const Sender sender(SIGUSR1, 20'000);
  while (count < 300) {
    wrong += (add_up(3) != 3);
  }
  say(wrong == 0 ? "no wrong sum\n" : "%d wrong sums\n", wrong.load());
  return 0;
}

// Many threads, each with its own signals.
HARD_CASE_OF(signals_in_many_threads, "add_up", "no wrong sum in 4 threads\n") {
  static std::atomic<int> wrong;
  handle(SIGUSR1, note, SA_RESTART);
  pthread_t threads[4];
  for (pthread_t& thread : threads) {
    pthread_create(
        &thread, nullptr,
        [](void*) -> void* {
          const Sender sender(SIGUSR1, 200'000);
          for (int i = 0; i < 300; ++i) {
            wrong += add_up(300) != 44850;
          }
          return nullptr;
        },
        nullptr);
  }
  for (const pthread_t thread : threads) {
    pthread_join(thread, nullptr);
  }
  say(wrong == 0 ? "no wrong sum in 4 threads\n" : "%d wrong sums\n", wrong.load());
  return 0;
}
