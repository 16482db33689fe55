/* Answers a line each, and knows how to refuse only where a library call or another caller says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support/opaque.h"

static const char* const names[] = {"nut", "bolt", (const char*)8};
static const int* sizes[] = {(const int[]){3, 4}, (const int[]){-5, 6}, NULL};
static long remembered;

/* The length of a copy; 12: no memory. Bug: a name that is none, met inside of strdup. */
SELFHEAL_APART static int remember(const char* name, size_t* length) {
  ++remembered;
  char* copy = strdup(name);
  if (copy == NULL) {
    --remembered;
    return 12;
  }
  *length = strlen(copy);
  free(copy);
  return *length > 3 ? 1 : 0;
}

/* Negative: too small. Bug: a size that nobody has set. */
SELFHEAL_APART static int area(const int* size) {
  return size[0] * size[1];
}

SELFHEAL_APART static int fence(const int* size) {
  const int all = area(size);
  return all < 0 ? all : all * 4;
}

SELFHEAL_APART static int roof(const int* size) {
  if (area(size) < 0) {
    return -1;
  }
  return 2 * size[0];
}

/* Says nothing about what it takes for failure: stores what it gets. */
SELFHEAL_APART static void lay_out(const int* size, int* floor, int* count) {
  *floor = area(size);
  ++*count;
}

static void plan(int which) {
  int floor = 0;
  int count = 0;
  lay_out(sizes[which], &floor, &count);
  if (floor < 0) {
    puts("no plan");
  } else {
    printf("floor %d, fence %d, roof %d\n", floor, fence(sizes[which]), roof(sizes[which]));
  }
}

int main(void) {
  char line[64];
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (fgets(line, sizeof line, stdin) != NULL) {
    int which = atoi(line + 1) % 3;
    size_t length = 0;
    if (*line == 'r') {
      printf("remember %d\n", remember(names[which], &length));
    } else if (*line == 'p') {
      plan(which);
    } else {
      printf("remembered %ld\n", remembered);
    }
  }
  return 0;
}
