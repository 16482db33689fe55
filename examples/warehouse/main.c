// warehouse: a small multi-threaded HTTP server with ordinary bugs, for libselfheal to heal.
//
// Each bug is in a function that already knows how to fail (it may return NULL or -1, and its
// caller then answers 404 or 500); look for "The bug" in stock.c, files.c and calculator.c.
// Binds to 127.0.0.1 only.

#include "files.h"
#include "stock.h"
#include "workers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
    "Usage: warehouse [--port N] [--workers N] [--files DIR]\n"
    "  --port N     listen on 127.0.0.1:N; 0 (the default) takes a free port and prints it\n"
    "  --workers N  threads that answer requests (default 4, at most 64)\n"
    "  --files DIR  folder behind /files/\n";

static volatile sig_atomic_t ending;

static void on_end(int signal) {
  (void)signal;
  ending = 1;
}

static int number_between(const char* text, int low, int high) {
  char* end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || end == text || *end || value < low || value > high) {
    fprintf(stderr, "warehouse: %s is not a number from %d to %d\n%s", text, low, high, usage);
    exit(2);
  }
  return (int)value;
}

static int listen_on(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
      bind(fd, (struct sockaddr*)&address, sizeof address) < 0 || listen(fd, 128) < 0 ||
      getsockname(fd, (struct sockaddr*)&address, &size) < 0) {
    fprintf(stderr, "warehouse: cannot listen on 127.0.0.1:%d: %s\n", port, strerror(errno));
    exit(1);
  }
  printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(int argc, char** argv) {
  static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {"files", required_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
  int port = 0;
  int workers = 4;
  const char* folder = NULL;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (option) {
      case 'p':
        port = number_between(optarg, 0, 65535);
        break;
      case 'w':
        workers = number_between(optarg, 1, 64);
        break;
      case 'f':
        folder = optarg;
        break;
      case 'h':
        fputs(usage, stdout);
        return 0;
      default:
        fputs(usage, stderr);
        return 2;
    }
  }

  struct sigaction end = {.sa_handler = on_end};  // no SA_RESTART: it has to wake accept()
  sigset_t ends, before;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigaction(SIGTERM, &end, NULL);
  sigaction(SIGINT, &end, NULL);

  stock_open();
  files_open(folder);
  sigprocmask(SIG_BLOCK, &ends, &before);  // the workers inherit this: only this thread is told
  if (workers_start(workers) < 0) {
    fputs("warehouse: cannot start threads\n", stderr);
    return 1;
  }
  int listener = listen_on(port);
  while (!ending) {
    fd_set ready;
    FD_ZERO(&ready);
    FD_SET(listener, &ready);
    // pselect opens the mask only while it waits, so that no signal is lost before the wait.
    if (pselect(listener + 1, &ready, NULL, NULL, NULL, &before) < 0) {
      continue;
    }
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection >= 0) {
      int on = 1;
      setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      workers_serve(connection);
    }
  }
  close(listener);
  workers_stop();
  return 0;
}
