/* server: answers the requests of its standard input, a line each. `bug` in a request makes look()
   fault, and no error of its helps: its callers come to grief with whatever they get.

     read NAME      the caller reads from where the result should be
     twice NAME     so does the caller, and its own caller with what that returns
     assert NAME    the caller aborts
     spin NAME      the caller waits for what does not come
     again NAME     the caller calls until it gets a result
     late NAME      the caller takes it, and the thread comes to grief when all that has returned
     ponder NAME    the caller does something else first, which does not end for a riddle
     crowd NAME     `read` by eight threads at once
     stock          what is left: says whether refused requests have left anything behind */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/support/opaque.h"

#define FUNCTION SELFHEAL_APART __attribute__((visibility("default")))

struct item {
  int price;
};

static struct item items[] = {{7}};
static struct item* volatile shelf = items;
static int taken; /* what a refused request must not leave behind */
static struct item* volatile nowhere;

static void take(int number) {
  __atomic_fetch_add(&taken, number, __ATOMIC_RELAXED);
}

FUNCTION struct item* look(const char* name) {
  take(1);
  struct item* found = shelf;
  if (strcmp(name, "bug") == 0 || strcmp(name, "riddle") == 0) {
    found = nowhere;
    found->price += 1;
  }
  take(-1);
  return found;
}

FUNCTION int price_of(const char* name) {
  take(1);
  const int price = look(name)->price;
  take(-1);
  return price;
}

FUNCTION int read_price(const char* name) {
  const int price = price_of(name);
  return price <= 0 ? -1 : price;
}

FUNCTION struct item* look_again(const char* name) {
  take(1);
  struct item* const found = look(name);
  shelf = found->price == 7 ? found : items;
  take(-1);
  return found;
}

FUNCTION int read_twice(const char* name) {
  take(1);
  const int price = look_again(name)->price;
  take(-1);
  return price;
}

FUNCTION int be_sure(const char* name) {
  const int price = read_twice(name);
  return price <= 0 ? -1 : price;
}

FUNCTION int insist(const char* name) {
  take(1);
  const struct item* const found = look(name);
  if (found < items || found > items) {
    abort();
  }
  take(-1);
  return found->price;
}

FUNCTION int read_insisting(const char* name) {
  const int price = insist(name);
  return price <= 0 ? -1 : price;
}

FUNCTION int wait_for(const char* name) {
  take(1);
  struct item* volatile found = look(name);
  while (found < items || found > items) {
  }
  take(-1);
  return found->price;
}

FUNCTION int read_waiting(const char* name) {
  const int price = wait_for(name);
  return price <= 0 ? -1 : price;
}

FUNCTION int try_on(const char* name) {
  take(1);
  const struct item* found = NULL;
  do {
    found = look(name);
  } while (found < items || found > items);
  take(-1);
  return found->price;
}

FUNCTION int read_trying(const char* name) {
  const int price = try_on(name);
  return price <= 0 ? -1 : price;
}

static volatile long thoughts;

FUNCTION void ponder(const char* name) {
  while (strcmp(name, "riddle") == 0) {
    ++thoughts;
  }
}

FUNCTION int price_after_all(const char* name) {
  take(1);
  ponder(name);
  const int price = price_of(name);
  take(-1);
  return price;
}

FUNCTION int read_pondering(const char* name) {
  const int price = price_after_all(name);
  return price <= 0 ? -1 : price;
}

static const struct item* kept;

FUNCTION int keep(const char* name) {
  kept = look(name);
  return 0;
}

static void* read_there(void* name) {
  return read_price(name) < 0 ? name : NULL;
}

static int crowd(char* name) {
  pthread_t threads[8];
  int refused = 0;
  for (unsigned i = 0; i < 8; ++i) {
    pthread_create(&threads[i], NULL, read_there, name);
  }
  for (unsigned i = 0; i < 8; ++i) {
    void* result = NULL;
    pthread_join(threads[i], &result);
    refused += result != NULL;
  }
  return refused;
}

static int answer(const char* verb, char* name) {
  static const struct {
    const char* verb;
    int (*function)(const char*);
  } requests[] = {{"read", read_price},      {"twice", be_sure},     {"assert", read_insisting},
                  {"spin", read_waiting},    {"again", read_trying}, {"late", keep},
                  {"ponder", read_pondering}};
  for (unsigned i = 0; i < sizeof requests / sizeof *requests; ++i) {
    if (strcmp(verb, requests[i].verb) == 0) {
      return requests[i].function(name);
    }
  }
  return strcmp(verb, "crowd") == 0 ? crowd(name) : taken;
}

int main(void) {
  char line[80];
  setvbuf(stdin, NULL, _IONBF, 0);
  while (fgets(line, sizeof line, stdin) != NULL) {
    char verb[20] = "";
    char name[20] = "";
    sscanf(line, "%19s %19s", verb, name);
    kept = items;
    const int result = answer(verb, name);
    dprintf(STDOUT_FILENO, "%d\n", strcmp(verb, "late") == 0 ? kept->price : result);
  }
  return 0;
}
