/* Faults that are healed, as many as wanted, one after the other in one process.
 *
 *   server FAULT               one request with that fault, of `faults` below: it dies
 *   server COUNT THREADS       COUNT of them in turn, on THREADS threads, a good request behind
 * each
 *
 * Ten times it prints what the process holds: "heals descriptors threads mappings KiB". A wrong
 * answer, a lock that stays locked or state that stays changed ends it with status 3.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/support/opaque.h"

struct Order {
  struct Order* next;
  int amount;
};

/* One a thread, so that what a request leaves behind is told from what another one is doing. */
struct Shop {
  pthread_mutex_t mutex;
  struct Order* orders;
  long booked;
  char* label;
};

static volatile int divisor[] = {1000, 0};

enum { window = 1 << 16 };

/* Each takes something, changes something, and fails in the middle if `bad`: -1 is its error. */

SELFHEAL_APART static int with_a_lock(struct Shop* shop, int amount, int bad) {
  if (amount < 0) {
    return -1;
  }
  pthread_mutex_lock(&shop->mutex);
  shop->booked += amount;
  if (bad) {
    *(volatile int*)(void*)(shop->label - shop->booked + amount) = amount; /* label is NULL */
  }
  shop->booked -= amount;
  pthread_mutex_unlock(&shop->mutex);
  return amount;
}

SELFHEAL_APART static int with_memory(struct Shop* shop, int amount, int bad) {
  struct Order* order = amount < 0 ? NULL : malloc(sizeof *order);
  if (order == NULL) {
    return -1;
  }
  order->next = shop->orders;
  order->amount = amount;
  shop->orders = order;
  shop->booked += 1000 / divisor[bad];
  shop->booked -= 1;
  shop->orders = order->next;
  free(order);
  return amount;
}

SELFHEAL_APART static int with_a_descriptor(struct Shop* shop, int amount, int bad) {
  const int file = amount < 0 ? -1 : open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (file < 0) {
    return -1;
  }
  shop->booked += amount;
  if (bad) {
    abort();
  }
  shop->booked -= amount;
  close(file);
  return amount;
}

SELFHEAL_APART static int with_a_mapping(struct Shop* shop, int amount, int bad) {
  int* room = amount < 0
                  ? MAP_FAILED
                  : mmap(NULL, window, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) {
    return -1;
  }
  room[amount & 1023] = amount;
  shop->booked += amount;
  if (bad) {
    __builtin_trap();
  }
  shop->booked -= amount;
  munmap(room, window);
  return amount;
}

static void* nothing_to_do(void* argument) {
  return argument;
}

SELFHEAL_APART static int with_a_thread(struct Shop* shop, int amount, int bad) {
  pthread_t helper;
  const int event = amount < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
  if (event < 0) {
    return -1;
  }
  if (pthread_create(&helper, NULL, nothing_to_do, shop) == 0) {
    pthread_join(helper, NULL);
  }
  if (bad) {
    *(volatile long*)(void*)shop->label = shop->booked;
  }
  close(event);
  return amount;
}

static const struct {
  const char* name;
  int (*request)(struct Shop* shop, int amount, int bad);
} faults[] = {
    {"null", with_a_lock},    {"divide", with_memory},   {"abort", with_a_descriptor},
    {"trap", with_a_mapping}, {"thread", with_a_thread},
};
enum { fault_count = sizeof faults / sizeof *faults, with_thread = fault_count - 1 };

static int lines_of(const char* path) {
  FILE* file = fopen(path, "r");
  int count = 0;
  for (int c = file == NULL ? EOF : getc(file); c != EOF; c = getc(file)) {
    count += c == '\n';
  }
  if (file != NULL) {
    fclose(file);
  }
  return count;
}

static int entries_of(const char* path) {
  DIR* folder = opendir(path);
  int count = 0;
  while (folder != NULL && readdir(folder) != NULL) {
    ++count;
  }
  if (folder != NULL) {
    closedir(folder);
  }
  return count - 3; /* `.`, `..`, and the one that reads it */
}

static long resident_private(void) {
  long value = 0;
  char line[200];
  FILE* file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "RssAnon:", 8) == 0) {
      value = strtol(line + 8, NULL, 10);
    }
  }
  if (file != NULL) {
    fclose(file);
  }
  return value;
}

static void say_what_is_held(long heals) {
  printf("%ld %d %d %d %ld\n", heals, entries_of("/proc/self/fd"),
         entries_of("/proc/self/task") + 1, lines_of("/proc/self/maps"), resident_private());
}

static int is_untouched(struct Shop* shop) {
  if (pthread_mutex_trylock(&shop->mutex) != 0) {
    return 0;
  }
  pthread_mutex_unlock(&shop->mutex);
  return shop->booked == 0 && shop->orders == NULL;
}

struct Work {
  pthread_t thread;
  struct Shop shop;
  long from;
  long count;
};

static void* work(void* argument) {
  struct Work* work = argument;
  for (long i = work->from; i < work->from + work->count; ++i) {
    const int kind = i % 40 == 0 ? with_thread : (int)(i % with_thread); /* one is slow */
    const int amount = (int)(i & 0xffff);
    const int bad = faults[kind].request(&work->shop, amount, 1);
    const int good = faults[kind].request(&work->shop, amount, 0);
    if (bad != -1 || good != amount || !is_untouched(&work->shop)) {
      fprintf(stderr, "%ld (%s): %d, then %d, booked %ld\n", i, faults[kind].name, bad, good,
              work->shop.booked);
      _exit(3);
    }
  }
  return NULL;
}

static void serve(long count, int threads) {
  struct Work* works = calloc((size_t)threads, sizeof *works);
  const long part = count / 10 / threads;
  for (int i = 0; i < threads; ++i) {
    pthread_mutex_init(&works[i].shop.mutex, NULL);
  }
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < threads; ++i) {
      works[i].from = (round * (long)threads + i) * part;
      works[i].count = part;
      pthread_create(&works[i].thread, NULL, work, &works[i]);
    }
    for (int i = 0; i < threads; ++i) {
      pthread_join(works[i].thread, NULL);
    }
    say_what_is_held((round + 1) * part * threads);
  }
  free(works);
}

int main(int count, char** words) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count == 3) {
    serve(strtol(words[1], NULL, 10), atoi(words[2]));
    return 0;
  }
  struct Shop shop = {PTHREAD_MUTEX_INITIALIZER, NULL, 0, NULL};
  for (int i = 0; count == 2 && i < fault_count; ++i) {
    if (strcmp(faults[i].name, words[1]) == 0) {
      return faults[i].request(&shop, 7, 1) == -1 ? 0 : 3;
    }
  }
  return 2;
}
