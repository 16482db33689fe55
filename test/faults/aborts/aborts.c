#include "aborts.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the compiler must not see through. */
static volatile size_t eight = 8;
static char* volatile kept;

int do_good(const char* text) {
  ++served;
  return (int)strlen(text) + 1;
}

int do_abort(const char* text) {
  ++served;
  if (strlen(text) != 0) {
    abort();
  }
  return 1;
}

int do_assert(const char* text) {
  ++served;
  assert(strlen(text) == 0);
  return 1;
}

int do_assert_perror(const char* text) {
  ++served;
  const int error = strlen(text) != 0 ? ENOENT : 0;
  assert_perror(error);
  return 1;
}

int do_raise(const char* text) {
  ++served;
  if (strlen(text) != 0) {
    raise(SIGABRT);
  }
  return 1;
}

int do_kill(const char* text) {
  ++served;
  if (strlen(text) != 0) {
    kill(getpid(), SIGABRT);
  }
  return 1;
}

__attribute__((noreturn, noinline)) static void die(const char* why) {
  if (strlen(why) > 100) {
    exit(3);
  }
  abort();
}

__attribute__((noreturn, noinline)) static void fatal(const char* why) {
  char text[32];
  snprintf(text, sizeof text, "fatal: %.20s", why);
  die(text);
}

int do_die(const char* text) {
  ++served;
  if (strlen(text) != 0) {
    fatal(text);
  }
  return 1;
}

int do_overflow(const char* text) {
  char small[8];
  ++served;
  memcpy(small, text, eight + strlen(text));
  return small[0] == 0 ? 2 : 1;
}

int do_print(const char* text) {
  char small[8];
  ++served;
  return sprintf(small, "%s%s", text, text) + (small[0] == 0) > 0 ? 1 : -1;
}

__attribute__((noinline)) static void fill(char* to, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    ((volatile char*)to)[i] = 'x';
  }
}

int do_smash(const char* text) {
  char small[8];
  ++served;
  fill(small, strlen(text) * 4);
  return small[0] == 0 ? 2 : 1;
}

int do_double_free(const char* text) {
  ++served;
  kept = malloc(40);
  char* again = kept;
  free(kept);
  if (strlen(text) != 0) {
    free(again);
  }
  return 1;
}

int do_wild_free(const char* text) {
  ++served;
  kept = malloc(40);
  free(kept + (strlen(text) != 0 ? 16 : 0));
  return 1;
}

int do_foreign_free(const char* text) {
  static char none_of_yours[4096];
  ++served;
  kept = strlen(text) != 0 ? none_of_yours + 2048 : malloc(40);
  free(kept);
  return 1;
}

int do_heap(const char* text) {
  ++served;
  char* first = malloc(1048); /* more than thread caches keep, and all of its chunk */
  kept = malloc(2000);
  fill(first, 1048 + strlen(text)); /* over the size of the second */
  free(kept);
  free(first);
  return 1;
}

static jmp_buf target;

__attribute__((noinline)) static int remember(void) {
  char room[4096];
  fill(room, eight);
  return setjmp(target);
}

int do_jump(const char* text) {
  ++served;
  if (remember() == 0 && strlen(text) != 0) {
    longjmp(target, 1); /* into a frame that is gone */
  }
  return 1;
}

const struct service services[] = {
    {"good", do_good},
    {"abort", do_abort},
    {"assert", do_assert},
    {"assert_perror", do_assert_perror},
    {"raise", do_raise},
    {"kill", do_kill},
    {"die", do_die},
    {"overflow", do_overflow},
    {"print", do_print},
    {"smash", do_smash},
    {"double_free", do_double_free},
    {"wild_free", do_wild_free},
    {"foreign_free", do_foreign_free},
    {"heap", do_heap},
    {"jump", do_jump},
    {"throw", do_throw},
    {"throw_int", do_throw_int},
    {"noexcept", do_noexcept},
    {"pure", do_pure},
    {"thread", do_thread},
    {"length", do_length},
    {NULL, NULL},
};
