/* server [fork]: answers the requests of its standard input, a line each. Some make it fault, and
   an error from the faulting function alone does not help: what its caller makes of it is what
   counts.

     average WHAT    the caller divides by the result: 0, the best guess, is no good, -1 is
     describe NAME   the caller ignores the result and uses an out-parameter that was never set
     gossip NAME     the same, but the caller has talked to others: it cannot be taken back
     relay NAME      the caller calls it or, where the name begins with a t, jumps to it
     order NAME      a region in a region: a failing price() is not the end of order()
     poison          healed, but another thread then ends the process
     killed          healed, but the process is killed before it asks for the next request
     crowd N         N threads describe something unknown at once
     stock           what is left: says whether failed requests have left anything behind

   With `fork`, a worker does it all, and its parent starts another when it dies. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/support/opaque.h"

#define FUNCTION SELFHEAL_APART __attribute__((visibility("default")))

struct item {
  const char* name;
  int stock;
  int price;
};

static struct item items[] = {{"nut", 40, 3}, {"bolt", 7, 5}};
static struct item* volatile shelf = items; /* so that nobody can tell what find() stores */
static int served;                          /* requests that came to an end */
static int looked_up;                       /* what a failed request must not leave behind */
static volatile int poisoned;
static int* volatile nowhere; /* NULL, but the compiler does not know */

static void put(const char* line, int size) {
  if (write(STDOUT_FILENO, line, (size_t)size) != size) {
    _exit(3);
  }
}

static void say(const char* word, int number) {
  char line[80];
  put(line, snprintf(line, sizeof line, "%s %d\n", word, number));
}

static void say_or_refuse(int refused, const char* word, int number) {
  if (refused) {
    put("refused\n", 8);
  } else {
    say(word, number);
  }
}

/* Atomically: threads share it, and each takes back its own only. */
static void count(int number) {
  __atomic_fetch_add(&looked_up, number, __ATOMIC_RELAXED);
}

/* Level 0 of `average`. */
FUNCTION int count_of(const char* what) {
  count(1);
  return strcmp(what, "nothing") == 0 ? *nowhere : (int)strlen(what);
}

FUNCTION int average(const char* what) {
  int share = 1200 / count_of(what);
  __asm__ volatile("" : "+r"(share));
  return share;
}

/* Levels 0 to 2 of `describe`. */
FUNCTION void find(const char* name, struct item** found) {
  count(1);
  for (unsigned i = 0; i < 2; ++i) {
    if (strcmp(items[i].name, name) == 0) {
      *found = shelf + i;
      return;
    }
  }
  *found = *(struct item**)(void*)nowhere;
}

FUNCTION int stock_of(const char* name) {
  struct item* item = NULL;
  count(1);
  find(name, &item);
  const int stock = item->stock;
  count(-2);
  return stock;
}

FUNCTION int describe(const char* name) {
  const int stock = stock_of(name);
  if (stock < 0) {
    return -1;
  }
  return 100 + stock;
}

/* Level 1 of `gossip` talks to somebody, twice: it may hold more than one request. */
FUNCTION int converse(const char* name) {
  int pair[2];
  char byte = 'x';
  struct item* item = NULL;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
    return -1;
  }
  for (int turn = 0; turn < 2; ++turn) {
    if (write(pair[1], &byte, 1) != 1 || read(pair[0], &byte, 1) != 1 ||
        write(pair[0], &byte, 1) != 1) {
      return -1;
    }
  }
  close(pair[0]);
  close(pair[1]);
  find(name, &item);
  return item->stock;
}

FUNCTION int gossip(const char* name) {
  const int stock = converse(name);
  return stock < 0 ? -1 : stock + 1;
}

/* Levels 0 and 1 of `relay`. */
FUNCTION int last(const char* name) {
  count(1);
  return strcmp(name, "nut") == 0 ? 1 : *nowhere;
}

FUNCTION int hand_on(const char* name) {
  if (name[0] == 't') {
    return last(name); /* whose frame takes the place of this one */
  }
  const int result = last(name);
  count(-1);
  return result < 0 ? -1 : result + 1;
}

/* `order`: a region of its own, with another one inside. */
FUNCTION int price_of(const char* name) {
  if (strcmp(name, "gift") == 0 || strcmp(name, "both") == 0) {
    count(1);
    return *nowhere;
  }
  return 3;
}

FUNCTION int order(const char* name) {
  items[0].stock -= 1;
  int price = price_of(name);
  if (price < 0) {
    price = 9; /* unknown: the list price */
  }
  items[1].stock -= 1;
  if (strcmp(name, "bulk") == 0 || strcmp(name, "both") == 0) {
    price = *nowhere;
  }
  return price;
}

FUNCTION int bless(void) {
  return *nowhere;
}

static void* end_all(void* unused) {
  while (!poisoned) {
    usleep(1000);
  }
  abort();
  return unused;
}

static int poison(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, end_all, NULL);
  if (bless() < 0) {
    poisoned = 1;
    pthread_join(thread, NULL);
  }
  return 0;
}

static int get_killed(void) {
  if (bless() < 0) {
    kill(getpid(), SIGKILL);
  }
  return 0;
}

static pthread_barrier_t barrier;

static void* describe_unknown(void* refused) {
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 50; ++i) {
    if (describe("ghost") < 0) {
      __atomic_fetch_add((int*)refused, 1, __ATOMIC_RELAXED);
    }
    usleep(10); /* a progress point */
  }
  return NULL;
}

static int crowd(int count) {
  pthread_t threads[16];
  int refused = 0;
  pthread_barrier_init(&barrier, NULL, (unsigned)count);
  for (int i = 0; i < count; ++i) {
    pthread_create(&threads[i], NULL, describe_unknown, &refused);
  }
  for (int i = 0; i < count; ++i) {
    pthread_join(threads[i], NULL);
  }
  return refused;
}

FUNCTION void handle(const char* verb, const char* argument) {
  if (strcmp(verb, "average") == 0) {
    const int share = average(argument);
    say_or_refuse(share <= 0, "share", share);
  } else if (strcmp(verb, "describe") == 0) {
    const int result = describe(argument);
    say_or_refuse(result < 0, "stock", result - 100);
  } else if (strcmp(verb, "order") == 0) {
    const int price = order(argument);
    say_or_refuse(price < 0, "price", price);
  } else if (strcmp(verb, "gossip") == 0) {
    const int result = gossip(argument);
    say_or_refuse(result < 0, "gossip", result);
  } else if (strcmp(verb, "relay") == 0) {
    const int result = hand_on(argument);
    say_or_refuse(result < 0, "relay", result);
  } else if (strcmp(verb, "poison") == 0) {
    say("survived", poison());
  } else if (strcmp(verb, "killed") == 0) {
    say("survived", get_killed());
  } else if (strcmp(verb, "crowd") == 0) {
    say("refused", crowd(atoi(argument)));
  } else {
    say("stock", items[0].stock * 10000 + items[1].stock * 100 + looked_up);
  }
  ++served;
}

static int read_line(char* line, size_t size) {
  size_t used = 0;
  while (used + 1 < size) {
    const ssize_t got = read(STDIN_FILENO, line + used, 1);
    if (got <= 0) {
      return 0;
    }
    if (line[used] == '\n') {
      break;
    }
    ++used;
  }
  line[used] = '\0';
  return 1;
}

static int serve(void) {
  char line[128];
  while (read_line(line, sizeof line)) {
    char verb[64] = "";
    char argument[64] = "";
    sscanf(line, "%63s %63s", verb, argument);
    handle(verb, argument);
  }
  return 0;
}

int main(int argc, char** argv) {
  prctl(PR_SET_DUMPABLE, 0);
  if (argc < 2 || strcmp(argv[1], "fork") != 0) {
    return serve();
  }
  for (;;) {
    const pid_t worker = fork();
    if (worker == 0) {
      exit(serve());
    }
    int status = 0;
    waitpid(worker, &status, 0);
    if (WIFEXITED(status)) {
      return WEXITSTATUS(status);
    }
    say("worker ended by", WTERMSIG(status));
  }
}
