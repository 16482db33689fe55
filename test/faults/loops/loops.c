#include "loops.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/support/opaque.h"

#define FUNCTION SELFHEAL_APART

FUNCTION static int blanks_at(const char* text) {
  int count = 0;
  while (text[count] == ' ' || text[count] == '\t') {
    ++count;
  }
  return count;
}

FUNCTION int skip_blanks(const char* text) {
  const char* const end = text + strlen(text);
  int words = 0;
  while (text < end) {
    const int blanks = blanks_at(text);
    text += blanks;
    words += blanks == 0 ? 0 : 1;
  }
  return words < 0 ? -1 : 0;
}

struct node {
  struct node* next;
  int value;
};

FUNCTION int walk_list(int wanted) {
  static struct node last = {NULL, 3};
  static struct node second = {&last, 2};
  static struct node first = {&second, 1};
  last.next = &second;
  for (const struct node* n = &first; n != NULL; n = n->next) {
    if (n->value == wanted) {
      return 0;
    }
  }
  return -1;
}

FUNCTION int fill_table(unsigned char last) {
  static volatile int table[256];
  for (unsigned char i = 0; i <= last; ++i) {
    table[i] += i;
  }
  return 0;
}

FUNCTION int scan_ring(int wanted) {
  static int ring[64];
  volatile int* slot = ring;
  unsigned at = 0;
  if (wanted < 0) {  // as its caller knows it may fail, the compiler leaves the caller's test in
    return -1;
  }
  while (slot[at] != wanted) {
    at = (at + 1) % 64;
  }
  return 0;
}

FUNCTION int lookup(int wanted) {
  static volatile unsigned found;
  if (scan_ring(wanted) < 0) {
    return -1;
  }
  ++found;
  return 0;
}

// Ends every time, after some thousand instructions.
FUNCTION static uint32_t hash_name(uint32_t seed) {
  for (int i = 0; i < 2000; ++i) {
    seed = (seed ^ (seed >> 15)) * 2654435761U + 1;
  }
  return seed;
}

static volatile uint32_t no_hash = 5;

FUNCTION int resolve_names(int wanted) {
  volatile uint32_t name = (uint32_t)wanted;
  while (hash_name(name) != no_hash) {
    name = (uint32_t)wanted;
  }
  return 0;
}

struct branch {  // as libc keeps them
  const void* key;
  struct branch* left;
  struct branch* right;
};

FUNCTION static int later(const void* wanted, const void* key) {
  return *(const int*)wanted >= *(const int*)key ? 1 : -1;
}

FUNCTION int find_in_tree(int wanted) {
  static int keys[2] = {1, 2};
  static struct branch low, high;
  low = (struct branch){&keys[0], &high, &high};
  high = (struct branch){&keys[1], wanted < 2 ? NULL : &low, wanted < 2 ? NULL : &low};
  void* root = &low;
  return tfind(&wanted, &root, later) != NULL ? 0 : -1;
}

FUNCTION int collect_nodes(int value) {
  struct node* all = NULL;
  while (value >= 0) {
    const size_t size = 4096;
    struct node* n = malloc(size);
    if (n == NULL) {
      return -1;
    }
    memset(n, 1, size);
    n->next = all;
    n->value = value;
    all = n;
  }
  return 0;
}

FUNCTION int skip_until_told(const volatile int* told) {
  while (!*told) {
  }
  return 0;
}

FUNCTION int compute(int milliseconds) {
  struct timespec begin, now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  uint32_t seed = 1;
  do {
    seed = hash_name(seed);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 <
           milliseconds);
  return 0;
}
