// A forking server with three bugs, for somebody who attacks it. One request a connection:
//
//   o BYTES...    overflow: copies BYTES into a buffer of 32, as many as came
//   p ADDRESS     peek: reads a word there and answers it
//   n             NULL dereference
//   h             hello
//
// Each connection gets a child of its own (fork, no exec: all have the parent's canary), which
// answers "ok ...", "refused", or dies. With "workers" as the second argument, four processes
// accept for as long as they live instead, and a worker that died is replaced.
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/support/opaque.h"

static volatile int seen;

static char* hidden(char* p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

SELFHEAL_APART static int overflow(const char* bytes, long size) {
  char buffer[32];
  char* to = hidden(buffer);
  for (long i = 0; i < size; ++i) {
    to[i] = bytes[i];
  }
  seen = buffer[0];
  return size < 0 ? -1 : 1;
}

SELFHEAL_APART static int peek(uint64_t address, uint64_t* value) {
  if (address == 0) {
    return -1;
  }
  *value = *(volatile uint64_t*)address;
  return 0;
}

SELFHEAL_APART static int null(char** where) {
  if (where == NULL) {
    return -1;
  }
  where[0][8] = 1;
  return 0;
}

static void answer(int connection) {
  char request[512];
  const long size = read(connection, request, sizeof request - 1);
  char reply[64] = "refused\n";
  if (size > 0) {
    request[size] = '\0';
    uint64_t value = 0;
    char* nowhere = NULL;
    switch (request[0]) {
      case 'o':
        if (overflow(request + 2, size - 2) > 0) {
          strcpy(reply, "ok\n");
        }
        break;
      case 'p':
        if (peek(strtoull(request + 2, NULL, 16), &value) == 0) {
          snprintf(reply, sizeof reply, "ok %lx\n", (unsigned long)value);
        }
        break;
      case 'n':
        if (null(&nowhere) == 0) {
          strcpy(reply, "ok\n");
        }
        break;
      case 'h':
        snprintf(reply, sizeof reply, "ok %p %d\n", (void*)&seen, getpid());
        break;
    }
  }
  if (write(connection, reply, strlen(reply)) < 0) {
    _exit(1);
  }
  close(connection);
}

static void serve_by_children(int listener) {
  for (;;) {
    const int connection = accept(listener, NULL, NULL);
    if (connection < 0) {
      continue;
    }
    const pid_t child = fork();
    if (child == 0) {
      close(listener);
      answer(connection);
      _exit(0);
    }
    close(connection);
    waitpid(child, NULL, 0);
  }
}

static void serve_by_workers(int listener) {
  for (int workers = 0;; --workers) {
    for (; workers < 4; ++workers) {
      if (fork() == 0) {
        for (;;) {
          const int connection = accept(listener, NULL, NULL);
          if (connection >= 0) {
            answer(connection);
          }
        }
      }
    }
    wait(NULL);
  }
}

int main(int count, char** arguments) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(arguments[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listener, 64) != 0) {
    return 3;
  }
  signal(SIGPIPE, SIG_IGN);
  alarm(300);
  if (count > 2 && strcmp(arguments[2], "workers") == 0) {
    serve_by_workers(listener);
  }
  serve_by_children(listener);
  return 0;
}
