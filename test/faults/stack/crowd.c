// Many threads with small stacks that all recurse too deep, again and again, while signals
// interrupt them anywhere: the handler parses, too, on whatever is left of the stack. Every answer
// is checked; prints how many were wrong. "THREADS ROUNDS"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support/opaque.h"

enum { deep = 20000, stack_size = 96 * 1024 };

static char deep_text[2 * deep + 1];
static atomic_int wrong, running;

// -1: not a list; else how many lists.
static SELFHEAL_OPAQUE int count_lists(const char** at, double weight) {
  int count = 1;
  for (++*at; **at == '[';) {
    const int inner = count_lists(at, weight);
    if (inner < 0) {
      return -1;
    }
    count += inner;
  }
  if (**at != ']' || weight != 0.25) {
    return -1;
  }
  ++*at;
  return count;
}

static int lists_in(const char* text) {
  return count_lists(&text, 0.25);
}

// Has to go on as if nothing had happened, with 6 frames or with an error.
static void on_signal(int signal) {
  (void)signal;
  const int count = lists_in("[[[][]][]]");
  wrong += count != 5 && count != -1;
}

static void* work(void* rounds) {
  for (long i = 0; i < (long)rounds; ++i) {
    wrong += lists_in(deep_text) != -1;
    wrong += lists_in("[[][[]]]") != 4;
  }
  --running;
  return NULL;
}

int main(int count, char** arguments) {
  const long threads = count > 1 ? strtol(arguments[1], NULL, 10) : 4;
  const long rounds = count > 2 ? strtol(arguments[2], NULL, 10) : 100;
  memset(deep_text, '[', deep);
  memset(deep_text + deep, ']', deep);
  const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_size);
  pthread_t* thread = calloc((size_t)threads, sizeof *thread);
  running = (int)threads;
  for (long i = 0; i < threads; ++i) {
    pthread_create(&thread[i], &attributes, work, (void*)rounds);
  }
  while (running != 0) {
    for (long i = 0; i < threads; ++i) {
      pthread_kill(thread[i], SIGUSR1);
    }
  }
  for (long i = 0; i < threads; ++i) {
    pthread_join(thread[i], NULL);
  }
  printf("%d wrong\n", (int)wrong);
  return 0;
}
