// The functions fault_* are exported, so that reports name them, and never inlined: each is a
// region of its own. `hide` keeps the compiler from seeing what goes wrong.
#include "faults.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REGION __attribute__((noinline, visibility("default")))

// Modules are built with NDEBUG by some servers' flags; an assertion here must hold in all.
#undef NDEBUG
#include <assert.h>

struct item {
  long count;
  long price;
  struct item* next;
};

static struct {
  pthread_mutex_t lock;
  long jobs;
  long letters;
  char last[24];
} ledger = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct item stock[4] = {
    {3, 5, &stock[1]}, {4, 7, &stock[2]}, {5, 9, &stock[3]}, {6, 11, NULL}};

static void* hide(const void* pointer) {
  void* hidden = (void*)pointer;
  __asm__ volatile("" : "+r"(hidden));
  return hidden;
}

static void book_locked(const char* name) {
  ++ledger.jobs;
  ledger.letters += (long)strlen(name);
  snprintf(ledger.last, sizeof ledger.last, "%s", name);
}

static void book(const char* name) {
  pthread_mutex_lock(&ledger.lock);
  book_locked(name);
  pthread_mutex_unlock(&ledger.lock);
}

const char* faults_ledger(char* buffer, size_t size) {
  pthread_mutex_lock(&ledger.lock);
  snprintf(buffer, size, "%ld jobs, %ld letters, last %s\n", ledger.jobs, ledger.letters,
           ledger.last);
  pthread_mutex_unlock(&ledger.lock);
  return buffer;
}

REGION int fault_null(const struct faults_client* client, int bad) {
  (void)client;
  book("null");
  const struct item* item = hide(bad ? NULL : stock);
  return item->count == 3 ? 0 : -1;
}

REGION int fault_wild_write(const struct faults_client* client, int bad) {
  (void)client;
  book("wild-write");
  struct item* shelf = hide(stock);
  shelf[bad ? 0x123456789abL : 1].count = 4;
  return shelf[1].count == 4 ? 0 : -1;
}

REGION int fault_divide(const struct faults_client* client, int bad) {
  (void)client;
  book("divide");
  volatile int people = bad ? 0 : 3;
  return 42 / people == 14 ? 0 : -1;
}

REGION int fault_ud2(const struct faults_client* client, int bad) {
  (void)client;
  book("ud2");
  if (bad) {
    __builtin_trap();
  }
  return 0;
}

REGION int fault_assert(const struct faults_client* client, int bad) {
  (void)client;
  book("assert");
  const struct item* item = hide(&stock[bad ? 1 : 0]);
  assert(item->count == 3);
  return 0;
}

REGION int fault_abort(const struct faults_client* client, int bad) {
  (void)client;
  book("abort");
  if (bad) {
    abort();
  }
  return 0;
}

REGION int fault_loop(const struct faults_client* client, int bad) {
  (void)client;
  book("loop");
  struct item ring[2] = {{1, 0, &ring[1]}, {2, 0, bad ? &ring[0] : NULL}};
  long sum = 0;
  for (const volatile struct item* item = hide(ring); item; item = item->next) {
    sum += item->count;
  }
  return sum == 3 ? 0 : -1;
}

// Not a loop, whatever the optimizer would like: each call needs its own buffer after the next.
static __attribute__((noinline)) long descend(const char* path, volatile char* above) {
  volatile char name[256];
  name[0] = *path;
  above[1] = name[0];
  const long below = *path == '/'   ? descend(path + 1, name)
                     : *path == '*' ? descend(path, name)
                                    : 0;
  return below + name[0];
}

REGION int fault_recursion(const struct faults_client* client, int bad) {
  (void)client;
  book("recursion");
  volatile char top[256] = {0};
  return descend(hide(bad ? "*" : "///"), top) == 3 * '/' ? 0 : -1;
}

REGION int fault_smashed_stack(const struct faults_client* client, int bad) {
  (void)client;
  book("smashed-stack");
  char name[24] = "";
  const char* text =
      hide(bad ? "a name that is a good deal longer than whoever wrote this function "
                 "expected, so that it overwrites what lies above it"
               : "a name");
  volatile char* to = hide(name);
  while (*text) {
    *to++ = *text++;
  }
  return name[0] == 'a' ? 0 : -1;
}

REGION int fault_heap_overflow(const struct faults_client* client, int bad) {
  (void)client;
  book("heap-overflow");
  char* first = hide(malloc(24));
  char* second = hide(malloc(24));
  memset(first, 'x', bad ? 64 : 24);
  free(second);
  free(first);
  return 0;
}

REGION int fault_double_free(const struct faults_client* client, int bad) {
  (void)client;
  book("double-free");
  char* chunk = hide(malloc(200));
  char* again = hide(chunk);
  free(chunk);
  if (bad) {
    free(again);
  }
  return 0;
}

REGION int fault_bad_free(const struct faults_client* client, int bad) {
  (void)client;
  book("bad-free");
  char* chunk = hide(malloc(200));
  free(hide(bad ? chunk + 8 : chunk));
  return 0;
}

REGION int fault_corrupted_list(const struct faults_client* client, int bad) {
  (void)client;
  book("corrupted-list");
  struct item list[2] = {{1, 0, &list[1]}, {2, 0, NULL}};
  if (bad) {
    memset(&list[1], 'A', sizeof list[1]);  // not an address: #GP
  }
  long sum = 0;
  for (const volatile struct item* item = hide(list); item; item = item->next) {
    sum += item->count;
  }
  return sum == 3 ? 0 : -1;
}

static int by_ratio(const void* a, const void* b) {
  const struct item *left = a, *right = b;
  return (int)(left->price / left->count - right->price / right->count);
}

// The fault is in by_ratio, which qsort calls: no answer of a comparison refuses anything.
REGION int fault_callback(const struct faults_client* client, int bad) {
  (void)client;
  book("callback");
  struct item items[3] = {{1, 9, NULL}, {2, 4, NULL}, {bad ? 0 : 3, 3, NULL}};
  qsort(hide(items), 3, sizeof items[0], by_ratio);
  return items[2].price == 9 ? 0 : -1;
}

REGION int fault_mutex_held(const struct faults_client* client, int bad) {
  (void)client;
  pthread_mutex_lock(&ledger.lock);
  book_locked("mutex-held");
  const struct item* item = hide(bad ? NULL : stock);
  const long count = item->count;
  pthread_mutex_unlock(&ledger.lock);
  return count == 3 ? 0 : -1;
}

REGION int fault_half_answer(const struct faults_client* client, int bad) {
  book("half-answer");
  client->say(client->context, "first half\n");
  const struct item* item = hide(bad ? NULL : stock);
  const long count = item->count;
  client->say(client->context, "second half\n");
  return count == 3 ? 0 : -1;
}

REGION int fault_leaves_things(const struct faults_client* client, int bad) {
  (void)client;
  book("leaves-things");
  const size_t size = 1 << 20;
  char* large = hide(malloc(size));
  int pipes[2] = {-1, -1};
  if (!large || pipe(pipes) != 0) {
    free(large);
    return -1;
  }
  memset(large, 'x', size);
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  const struct item* item = hide(bad ? NULL : stock);
  const long count = item->count;
  close(null);
  close(pipes[0]);
  close(pipes[1]);
  free(large);
  return count == 3 ? 0 : -1;
}

static const struct {
  const char* name;
  int (*function)(const struct faults_client* client, int bad);
} faults[] = {
    {"null", fault_null},
    {"wild-write", fault_wild_write},
    {"divide", fault_divide},
    {"ud2", fault_ud2},
    {"assert", fault_assert},
    {"abort", fault_abort},
    {"loop", fault_loop},
    {"recursion", fault_recursion},
    {"smashed-stack", fault_smashed_stack},
    {"heap-overflow", fault_heap_overflow},
    {"double-free", fault_double_free},
    {"bad-free", fault_bad_free},
    {"corrupted-list", fault_corrupted_list},
    {"callback", fault_callback},
    {"mutex-held", fault_mutex_held},
    {"half-answer", fault_half_answer},
    {"leaves-things", fault_leaves_things},
};

enum faults_outcome faults_serve(const char* request, const struct faults_client* client) {
  const size_t length = strcspn(request, "/");
  const int bad = strcmp(request + length, "/bad") == 0;
  if (!bad && strcmp(request + length, "/good") != 0) {
    return faults_unknown;
  }
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; ++i) {
    if (strncmp(faults[i].name, request, length) == 0 && faults[i].name[length] == '\0') {
      if (faults[i].function(client, bad) != 0) {
        return faults_failed;
      }
      return faults_done;
    }
  }
  return faults_unknown;
}
