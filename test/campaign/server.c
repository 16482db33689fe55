/* A small server whose functions fail in known ways, for test_campaign.py.
 *
 * A master forks a worker; two threads of it accept on 127.0.0.1:PORT and answer one line each.
 * Every request has a function that does the work, where the test puts a fault, and a caller that
 * deals with the error in its own way: well, or badly.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int listener;
static volatile int poisoned;
static volatile long journal[64];

/* The results are looked at by sign, so that an error of a healed call is -1. */

__attribute__((noipa)) int read_table(const char* text) {
  journal[1] = 7; /* something to roll back */
  int sum = 0;
  for (; *text != 0; ++text) {
    sum += *text & 7;
  }
  journal[1] = sum;
  journal[2] = journal[2] + (sum & 1);
  return sum;
}

__attribute__((noipa)) int compute(const char* text) {
  return (int)strlen(text) * 3;
}
__attribute__((noipa)) int parse(const char* text) {
  return text[0] & 15;
}
__attribute__((noipa)) int store_away(const char* text) {
  return text[0] & 7;
}
__attribute__((noipa)) int look_up(const char* text) {
  return text[0] & 3;
}
__attribute__((noipa)) int reserve(const char* text) {
  return text[0] & 63;
}
__attribute__((noipa)) int configure(const char* text) {
  return text[0] & 1;
}

/* By its name it may decide about access, so it is never healed by a guess. */
__attribute__((noipa)) int login_of(const char* text) {
  return text[0] & 31;
}

/* Its one conditional jump is the one behind the check of its canary. */
__attribute__((noipa, stack_protect)) int guarded(const char* text) {
  char copy[16];
  strncpy(copy, text, sizeof copy - 1);
  copy[sizeof copy - 1] = 0;
  return parse(copy);
}

/* Its one conditional jump inverted, it calls NULL: an integrity fault, which is never healed. */
__attribute__((noipa)) int notify(int (*volatile callback)(void)) {
  if (callback != 0) {
    return callback() + 1;
  }
  return 5;
}

/* Its conditional jump inverted, it answers wrongly, and nothing else happens. */
__attribute__((noipa)) int choose(const char* text) {
  if (text[0] == 'x') {
    puts("x");
    return 20;
  }
  return 10;
}

/* Its conditional jump inverted, it answers wrongly where there is a tariff, and reads NULL where
 * there is none. */
__attribute__((noipa)) int price_of(const int* tariff) {
  if (tariff == 0) {
    puts("a gift");
    return 7;
  }
  return *tariff;
}

__attribute__((noipa)) int excuse_of(const char* text) {
  return text[1] & 7;
}
__attribute__((noipa)) int quota_of(const char* text) {
  return text[1] & 3;
}

/* A time-out's: what was reserved and not used is given back. */
static void* give_back(void* descriptor) {
  sleep(4);
  close((int)(long)descriptor);
  return 0;
}

static void reserve_for_a_while(void) {
  pthread_t clock;
  const long descriptor = open("/dev/null", O_RDONLY);
  if (pthread_create(&clock, 0, give_back, (void*)descriptor) == 0) {
    pthread_detach(clock);
  }
}

enum { refusals = 1000 }; /* results from here on */

__attribute__((noipa)) static int answer(const char* request) {
  if (strcmp(request, "table") == 0) {
    return read_table(request);
  }
  if (strcmp(request, "compute") == 0) { /* its caller spoils everybody's answers */
    const int result = compute(request);
    if (result < 0) {
      poisoned = 100;
    }
    return result;
  }
  if (strcmp(request, "parse") == 0) { /* ... forgets a descriptor */
    const int result = parse(request);
    if (result < 0) {
      open("/dev/null", O_RDONLY);
    }
    return result;
  }
  if (strcmp(request, "reserve") == 0) { /* ... keeps one until a time-out */
    const int result = reserve(request);
    if (result < 0) {
      reserve_for_a_while();
    }
    return result;
  }
  if (strcmp(request, "store") == 0) { /* ... gives up */
    const int result = store_away(request);
    if (result < 0) {
      _exit(1);
    }
    return result;
  }
  if (strcmp(request, "look") == 0) { /* ... waits for better times */
    const int result = look_up(request);
    if (result < 0) {
      for (;;) {
        pause();
      }
    }
    return result;
  }
  if (strcmp(request, "deny") == 0) { /* ... says no all the same, without the reason */
    const int result = excuse_of(request);
    return result < 0 ? refusals : refusals + result;
  }
  if (strcmp(request, "admit") == 0) { /* ... takes it that there is no limit */
    return quota_of(request) < 0 ? 1 : refusals;
  }
  if (strcmp(request, "never") == 0) {
    return -1;
  }
  if (strcmp(request, "login") == 0) {
    return login_of(request);
  }
  if (strcmp(request, "guarded") == 0) {
    return guarded(request);
  }
  if (strcmp(request, "notify") == 0) {
    return notify(0);
  }
  if (strcmp(request, "choose") == 0) {
    return choose(request);
  }
  if (strcmp(request, "price") == 0) {
    static const int tariff = 40;
    return price_of(&tariff);
  }
  if (strcmp(request, "gift") == 0) {
    return price_of(0);
  }
  return 1;
}

static void* serve(void* unused) {
  (void)unused;
  for (;;) {
    const int client = accept(listener, 0, 0);
    char request[64] = "";
    const ssize_t size = read(client, request, sizeof request - 1);
    if (size > 0) {
      request[strcspn(request, "\n")] = 0;
      const int result = answer(request);
      char reply[64];
      const int length = result < 0 ? sprintf(reply, "error\n")
                         : result >= refusals
                             ? sprintf(reply, "refused %d\n", result)
                             : sprintf(reply, "%s %d\n", request, result + poisoned);
      if (write(client, reply, (size_t)length) != length) {
        perror("write");
      }
    }
    close(client);
  }
  return 0;
}

int main(int count, char** arguments) {
  if (count != 2 || configure(arguments[1]) < 0) {
    return 2;
  }
  const struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((unsigned short)atoi(arguments[1])),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int on = 1;
  listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (const struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listener, 16) != 0) {
    perror("listen");
    return 1;
  }
  for (;;) {
    const pid_t worker = fork();
    if (worker == 0) {
      pthread_t first;
      pthread_t second;
      pthread_create(&first, 0, serve, 0);
      pthread_create(&second, 0, serve, 0);
      pthread_join(first, 0); /* what is sent to the process may come here */
    }
    waitpid(worker, 0, 0);
    usleep(100000); /* not as fast as it can, when it always dies at once */
  }
}
