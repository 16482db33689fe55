// Restartable sequences: the kernel restarts them when the thread is preempted in between, so an
// engine that runs them itself loses updates (issue 3, item 7; rseq(2)).
#include <linux/rseq.h>
#include <pthread.h>
#include <sys/rseq.h>

#include "test/hard_cases/subject.h"

using namespace hard;

namespace {

constexpr int threads = 4;
constexpr int calls = 1000;

struct alignas(64) Counter {
  uint64_t value;
};

}  // namespace

extern "C" {
Counter counters[512];
}

// counters[cpu].value += 1, slowly, without a lock and without an atomic instruction.
// `store` puts the sequence's descriptor, which is in rax, into the field rseq_cs.
#define ADD_ON_THIS_CPU(store)                                              \
  asm volatile(                                                             \
      ".pushsection __rseq_cs, \"aw\"\n.balign 32\n"                        \
      "9: .long 0, 0\n.quad 1f, 2f - 1f, 4f\n.popsection\n"                 \
      "5: lea 9b(%%rip), %%rax\n" store                                     \
      "\n1: mov %%fs:4(%[area]), %%ecx\n"                                   \
      "shl $6, %%rcx\nlea counters(%%rip), %%rdx\nadd %%rcx, %%rdx\n"       \
      "mov (%%rdx), %%rsi\nmov $1000, %%ecx\n3: pause\ndec %%ecx\njnz 3b\n" \
      "inc %%rsi\nmov %%rsi, (%%rdx)\n"                                     \
      "2: jmp 6f\n.long 0x53053053\n4: jmp 5b\n6:"                          \
      :                                                                     \
      : [area] "r"(__rseq_offset), [field] "r"(&area()->rseq_cs)            \
      : "rax", "rcx", "rdx", "rsi", "memory", "cc")

namespace {

struct rseq* area() {
  return reinterpret_cast<struct rseq*>(reinterpret_cast<char*>(__builtin_thread_pointer()) +
                                        __rseq_offset);
}

template <void (*add)()>
void* add_often(void*) {
  for (int i = 0; i < calls; ++i) {
    add();
  }
  return nullptr;
}

int count(void* (*adder)(void*)) {
  if (__rseq_size == 0) {
    say("4000\n");  // the kernel, or a tunable of libc's, does without: nothing to get wrong
    return 0;
  }
  pthread_t running[threads];
  for (pthread_t& thread : running) {
    pthread_create(&thread, nullptr, adder, nullptr);
  }
  for (const pthread_t thread : running) {
    pthread_join(thread, nullptr);
  }
  uint64_t sum = 0;
  for (const Counter& counter : counters) {
    sum += counter.value;
  }
  say("%lu\n", sum);
  return loaded() && region_calls() != threads * calls;
}

}  // namespace

REGION void adds_as_librseq_does() {
  ADD_ON_THIS_CPU("mov %%rax, %%fs:8(%[area])");
}

REGION void adds_through_a_pointer() {
  ADD_ON_THIS_CPU("mov %%rax, (%[field])");
}

HARD_CASE_OF(restartable_sequences, "adds_as_librseq_does", "4000\n", .leaves = true) {
  return count(add_often<adds_as_librseq_does>);
}

HARD_CASE_OF(restartable_sequences_by_pointer, "adds_through_a_pointer", "4000\n", .leaves = true) {
  return count(add_often<adds_through_a_pointer>);
}
