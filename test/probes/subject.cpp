#include "test/probes/subject.h"

#include <fcntl.h>
#include <initializer_list>
#include <sys/mman.h>
#include <sys/resource.h>

namespace subject {

static Scenario* scenarios = nullptr;

Scenario::Scenario(const char* scenario_name, Function scenario_function)
    : name(scenario_name), function(scenario_function), next(scenarios) {
  scenarios = this;
}

// r12 and the flags carry a known pattern into the fault.
#define FAULTING(instruction, input)                                        \
  int resumed;                                                              \
  asm volatile(                                                             \
      "lea 1f(%%rip), %%r15\n\tmov $0x1122334455667788, %%r12\n\t"          \
      "xor %0, %0\n\tcmp $-1, %0\n\t" instruction "\n\tud2\n1:\tmov $1, %0" \
      : "=&r"(resumed)                                                      \
      : "a"(input)                                                          \
      : "r12", "r15", "rdx", "rcx", "memory", "cc");                        \
  return resumed

int null_read() {
  FAULTING("mov 0x18(%%rax), %%rcx", 0L);
}
int null_write() {
  FAULTING("movl $1, 0x20(%%rax)", 0L);
}
int wild_read() {
  FAULTING("mov (%%rax), %%rcx", 0x1234567890abcdefL);
}
int divide_by_zero() {
  FAULTING("xor %%ecx, %%ecx; cltd; idiv %%ecx", 1L);
}
int illegal_instruction() {
  FAULTING("ud2", 0L);
}
int jump_to_data() {
  static char data[4096] __attribute__((aligned(4096)));
  FAULTING("jmp *%%rax", data);
}
int jump_to_nowhere() {
  FAULTING("push %%rax; ret", 0x1234567890abcdefL);
}
int bus_error() {
  char path[] = "/tmp/probes_bus_XXXXXX";
  const int file = mkstemp(path);
  unlink(path);
  ftruncate(file, 4096);
  char* mapping =
      static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  close(file);
  FAULTING("mov 4096(%%rax), %%rcx", mapping);
}
int floating_point_error() {
  const unsigned unmasked = 0x1d00;  // the invalid and divide exceptions trap
  asm volatile("ldmxcsr %0" ::"m"(unmasked));
  FAULTING("xorps %%xmm0, %%xmm0; movd %%eax, %%xmm1; divss %%xmm0, %%xmm1", 0x3f800000L);
}

static volatile int deepest = -1;

int overflow_stack(int depth) {
  if (depth == deepest) {
    return 0;
  }
  volatile char room[512];
  room[0] = static_cast<char>(depth);
  const int deeper = overflow_stack(depth + 1);
  return deeper + room[0];
}

void install(int signal, void (*handler)(int, siginfo_t*, void*), int flags,
             std::initializer_list<int> mask) {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = flags;
  for (const int masked : mask) {
    sigaddset(&action.sa_mask, masked);
  }
  if (sigaction(signal, &action, nullptr) != 0) {
    perror("sigaction");
  }
}

}  // namespace subject

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IONBF, 0);
  const rlimit small_stack{1 << 20, 1 << 20};
  setrlimit(RLIMIT_STACK, &small_stack);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  for (auto* s = subject::scenarios; s != nullptr && argc > 1; s = s->next) {
    if (strcmp(s->name, argv[1]) == 0) {
      return s->function();
    }
  }
  puts("unknown scenario");
  return 126;
}
