// A signal at every single instruction on the way into the engine and out of it, and at many in it.
//
//   tracee:  for ever { int3; region(); int3; check }       tracer:  k = 0, 1, 2, …
//                                                                    to the first int3
//                                                                    k single steps
//                                                                    send SIGUSR1, go on
//                                                                    to the second int3
//
// The handler must run once, see a context of the application's (rip in its text or libc's, rsp on
// its stack), and the region's result must be right. Ends when k steps reach the second int3.
//
// A single step sets the trap flag, and `pushf` shows it to the program: the tracer takes it out of
// what was pushed, as debuggers do.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <link.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

// Where a breakpoint leaves rip.
extern "C" {
extern char call_begin;
extern char call_end;
}

namespace {

// Shared with nobody: each of the two processes has its own use of them.
volatile int handled;
volatile uint64_t seen_rip;
volatile uint64_t seen_stack;
uint64_t stack_top;

struct Range {
  uint64_t begin;
  uint64_t end;
  bool contains(uint64_t address) const { return address >= begin && address < end; }
};
Range program_text;
Range libc_text;

// The executable segment around `address`.
Range text_around(const void* address) {
  struct Query {
    uint64_t address;
    Range range;
  } query{reinterpret_cast<uint64_t>(address), {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& q = *static_cast<Query*>(data);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const ElfW(Phdr)& p = info->dlpi_phdr[i];
          const Range range{info->dlpi_addr + p.p_vaddr, info->dlpi_addr + p.p_vaddr + p.p_memsz};
          if (p.p_type == PT_LOAD && (p.p_flags & PF_X) != 0 && range.contains(q.address)) {
            q.range = range;
          }
        }
        return 0;
      },
      &query);
  return query.range;
}

void note(int, siginfo_t*, void* context) {
  const greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  handled = handled + 1;
  seen_rip = static_cast<uint64_t>(registers[REG_RIP]);
  seen_stack = static_cast<uint64_t>(registers[REG_RSP]);
}

}  // namespace

#define REGION extern "C" [[gnu::noinline, gnu::used]]

REGION int region_plain(int n) {
  volatile int sum = 0;
  for (int i = 0; i < n; ++i) {
    sum = sum + i;
  }
  return sum;
}

// A native call with compensation, one held back until commit, and a system call.
REGION int region_effects(int n) {
  auto* p = static_cast<volatile char*>(malloc(static_cast<size_t>(n)));
  p[0] = 3;
  asm volatile("syscall" : : "a"(SYS_getppid) : "rcx", "r11", "memory");
  const int result = p[0];
  free(const_cast<char*>(p));
  return result;
}

// Healed: the region's caller gets an error value instead.
REGION int region_fault(int n) {
  volatile int* nothing = nullptr;
  return n == 3 ? *nothing : 5;
}

namespace {

struct Kind {
  const char* name;
  int (*region)(int);
  bool (*right)(int);
  unsigned between;  // how many signals between the edges
  bool both_edges;   // a heal leaves as all do, but after twenty thousand steps
};

constexpr Kind kinds[] = {
    {"region_plain", region_plain, [](int result) { return result == 3; }, 30, true},
    {"region_effects", region_effects, [](int result) { return result == 3; }, 30, true},
    {"region_fault", region_fault, [](int result) { return result == -1 || result == 0; }, 8,
     false},
};

[[noreturn]] void be_traced(const Kind& kind) {
  program_text = text_around(reinterpret_cast<const void*>(&region_plain));
  libc_text = text_around(dlsym(RTLD_NEXT, "getppid"));
  stack_top = reinterpret_cast<uint64_t>(__builtin_frame_address(0)) + 4096;
  struct sigaction action {};
  action.sa_sigaction = note;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, nullptr);
  kind.region(4);  // decoded, and malloc has its arena
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  for (unsigned call = 0;; ++call) {
    handled = 0;
    asm volatile("int3\n.globl call_begin\ncall_begin:");
    const int result = kind.region(3);
    asm volatile("int3\n.globl call_end\ncall_end:");
    const bool own = program_text.contains(seen_rip) || libc_text.contains(seen_rip);
    const bool on_stack = stack_top - seen_stack < 65536;
    if (!kind.right(result) || handled != 1 || !own || !on_stack) {
      std::printf("%s, call %u: result %d, handled %d times, rip %lx%s, rsp %lx%s\n", kind.name,
                  call, result, handled, seen_rip, own ? "" : " is not the application's",
                  seen_stack, on_stack ? "" : " is not its stack");
      std::fflush(stdout);
      std::_Exit(1);
    }
  }
}

class Tracer {
 public:
  explicit Tracer(pid_t pid) : pid_(pid) {}

  bool wait_for_first_call() { return wait() && is_at(&call_begin); }

  // Lets the tracee run to its next call, passing its signals on. False: it has ended.
  bool run_to_next_call(int signal) {
    for (;;) {
      ptrace(PTRACE_CONT, pid_, nullptr, signal);
      if (!wait()) {
        return false;
      }
      if (is_at(&call_begin)) {
        clear_trap_flag();
        return true;
      }
      signal = WSTOPSIG(status_) == SIGTRAP ? 0 : WSTOPSIG(status_);
    }
  }

  enum class Step { done, end_of_call, ended };
  Step step() {
    int signal = 0;
    for (;;) {
      const bool pushes_flags = signal == 0 && byte_at(registers().rip) == 0x9c;
      ptrace(PTRACE_SINGLESTEP, pid_, nullptr, signal);
      if (!wait()) {
        return Step::ended;
      }
      if (is_at(&call_end)) {
        return Step::end_of_call;
      }
      if (WSTOPSIG(status_) == SIGTRAP) {
        if (pushes_flags) {
          hide_trap_flag();
        }
        return Step::done;
      }
      signal = WSTOPSIG(status_);  // the region's own fault
    }
  }

  int status() const { return status_; }

 private:
  bool wait() { return waitpid(pid_, &status_, 0) == pid_ && WIFSTOPPED(status_); }
  bool is_at(const char* label) { return registers().rip == reinterpret_cast<uint64_t>(label); }
  user_regs_struct registers() {
    user_regs_struct all{};
    ptrace(PTRACE_GETREGS, pid_, nullptr, &all);
    return all;
  }
  unsigned byte_at(uint64_t address) {
    return static_cast<unsigned>(ptrace(PTRACE_PEEKTEXT, pid_, address, nullptr)) & 0xff;
  }
  // A step over `popf` leaves it to the program, in the kernel's eyes (enable_single_step,
  // arch/x86/kernel/step.c).
  void clear_trap_flag() {
    user_regs_struct all = registers();
    all.eflags &= ~trap_flag;
    ptrace(PTRACE_SETREGS, pid_, nullptr, &all);
  }
  void hide_trap_flag() {
    const auto at = registers().rsp;
    const long word = ptrace(PTRACE_PEEKDATA, pid_, at, nullptr);
    ptrace(PTRACE_POKEDATA, pid_, at, word & ~static_cast<long>(trap_flag));
  }

  static constexpr unsigned long trap_flag = 0x100;

  pid_t pid_;
  int status_ = 0;
};

// One call with a signal after `k` steps. False: it has fewer, or the tracee complained and ended.
enum class Call { signalled, shorter, ended };

Call signal_after(Tracer& tracer, unsigned k) {
  for (unsigned i = 0; i < k; ++i) {
    switch (tracer.step()) {
      case Tracer::Step::done:
        break;
      case Tracer::Step::end_of_call:
        return tracer.run_to_next_call(SIGUSR1) ? Call::shorter : Call::ended;
      case Tracer::Step::ended:
        return Call::ended;
    }
  }
  return tracer.run_to_next_call(SIGUSR1) ? Call::signalled : Call::ended;
}

// How many steps a call has. 0: the tracee ended.
unsigned count_steps(Tracer& tracer) {
  unsigned steps = 0;
  for (;; ++steps) {
    switch (tracer.step()) {
      case Tracer::Step::done:
        break;
      case Tracer::Step::end_of_call:
        return tracer.run_to_next_call(SIGUSR1) ? steps : 0;
      case Tracer::Step::ended:
        return 0;
    }
  }
}

// Signals at every step of both edges, where the engine is entered and left, and here and there
// between them. How many steps the call has; 0: something was wrong.
unsigned signal_at_the_steps(const Kind& kind) {
  constexpr unsigned edge = 50;
  const pid_t pid = fork();
  if (pid == 0) {
    be_traced(kind);
  }
  Tracer tracer(pid);
  const unsigned steps = tracer.wait_for_first_call() ? count_steps(tracer) : 0;
  const unsigned stride = steps / kind.between | 1;
  const unsigned last_edge = kind.both_edges ? steps - edge : steps;
  Call last = steps > 2 * edge ? Call::signalled : Call::ended;
  unsigned k = 0;
  while (k < steps && last == Call::signalled) {
    last = signal_after(tracer, k);
    k += k < edge || k >= last_edge ? 1 : std::min(stride, last_edge - k);
  }
  if (last == Call::ended) {
    std::printf("%s: the program ended before step %u of %u, status %x\n", kind.name, k, steps,
                tracer.status());
    return 0;
  }
  kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  return steps;
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  // Both processes on one processor, so that a step wakes nobody elsewhere.
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof one, &one);
  bool well = true;
  for (const Kind& kind : kinds) {
    const unsigned steps = signal_at_the_steps(kind);
    well = well && steps > 100;
    std::printf("%s: signals all over the %u instructions of its call\n", kind.name, steps);
  }
  return well ? 0 : 1;
}
