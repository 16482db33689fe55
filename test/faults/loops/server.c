// A server that answers one line a connection: "ok N", or "error" when its handler failed.
//
//   server single|threads|fork     prints the port it listens on at 127.0.0.1
#include "loops.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile int told = 0;

static void on_told(int unused) {
  told = unused;
}

static int run(const char* request) {
  if (strcmp(request, "skip_blanks") == 0) return skip_blanks("a b");
  if (strcmp(request, "walk_list") == 0) return walk_list(4);
  if (strcmp(request, "fill_table") == 0) return fill_table(255);
  if (strcmp(request, "scan_ring") == 0) return lookup(7);
  if (strcmp(request, "resolve_names") == 0) return resolve_names(1);
  if (strcmp(request, "find_in_tree") == 0) return find_in_tree(3);
  if (strcmp(request, "collect_nodes") == 0) return collect_nodes(1);
  if (strcmp(request, "skip_until_told") == 0) return skip_until_told(&told);
  // The same functions, called so that they come to an end.
  if (strcmp(request, "fine") == 0)
    return skip_blanks("   ") | walk_list(2) | fill_table(200) | lookup(0) | collect_nodes(-1) |
           compute(0) | (find_in_tree(1) + 1);
  return strncmp(request, "compute ", 8) == 0 ? compute(atoi(request + 8)) : -1;
}

__attribute__((noinline)) static void answer(int client) {
  char request[64];
  char reply[64];
  const ssize_t size = read(client, request, sizeof request - 1);
  if (size > 0) {
    request[strcspn((request[size] = '\0', request), "\n")] = '\0';
    const int result = run(request);
    const int length = result < 0 ? snprintf(reply, sizeof reply, "error\n")
                                  : snprintf(reply, sizeof reply, "ok %d\n", result);
    if (write(client, reply, (size_t)length) != length) {
      perror("write");
    }
  }
  close(client);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static int queue[64];
static unsigned queued, taken;

static void* worker(void* unused) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  for (;;) {
    pthread_mutex_lock(&lock);
    while (taken == queued) {
      pthread_cond_wait(&work, &lock);
    }
    const int client = queue[taken++ % 64];
    pthread_mutex_unlock(&lock);
    answer(client);
  }
  return unused;
}

static void serve(int listener, const char* how) {
  for (;;) {
    const int client = accept(listener, NULL, NULL);
    if (client < 0) {
      continue;
    }
    if (strcmp(how, "threads") == 0) {
      pthread_mutex_lock(&lock);
      queue[queued++ % 64] = client;
      pthread_cond_signal(&work);
      pthread_mutex_unlock(&lock);
    } else if (strcmp(how, "fork") == 0) {
      if (fork() == 0) {
        answer(client);
        exit(0);
      }
      close(client);
    } else {
      answer(client);
    }
  }
}

int main(int argc, char** argv) {
  const char* how = argc > 1 ? argv[1] : "single";
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr*)&address, size) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &size) != 0) {
    perror("server");
    return 1;
  }
  signal(SIGCHLD, SIG_IGN);
  signal(SIGUSR1, on_told);
  for (int i = 0; i < 2 && strcmp(how, "threads") == 0; ++i) {
    pthread_t thread;
    pthread_create(&thread, NULL, worker, NULL);
  }
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  serve(listener, how);
}
