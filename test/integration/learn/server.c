/* server PORT_FILE [WORKERS]: answers one request, a line, a connection. What its functions return
   comes from tables that are filled when it starts, so no code says which value is a failure:

     kind WORD      kind_of() says 0 or 3, and 7 of a word it does not know; its caller refuses 7
   only handle WORD    handle_of() says where an object is, or NULL; find() goes through it slow N
   sum_of() takes a while crash          kind_of() faults pid            who answers

   With WORKERS, so many forked processes answer, and the parent only waits for them. */
#include <arpa/inet.h>
#include <netinet/in.h>
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

static int kinds[256];
static int objects[16];
static int* handles[256];

static void fill_tables(void) {
  for (int i = 0; i < 256; ++i) {
    kinds[i] = 7;
    handles[i] = NULL;
  }
  for (int i = 'a'; i <= 'm'; ++i) {
    kinds[i] = 0;
    handles[i] = &objects[i % 16];
  }
  for (int i = 'n'; i <= 'z'; ++i) {
    kinds[i] = 3;
  }
}

FUNCTION int kind_of(const char* request) {
  const char* const word = strchr(request, ' '); /* NULL where there is but one word */
  return kinds[(unsigned char)word[1]];
}

FUNCTION int* handle_of(const char* request) {
  return handles[(unsigned char)strchr(request, ' ')[1]];
}

FUNCTION int sum_of(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) {
    sum += kinds[(sum + i) & 255];
  }
  return sum == 0 ? 7 : 0;
}

static void answer(const char* request, char* out, size_t size) {
  if (strncmp(request, "handle", 6) == 0) {
    const int* handle = handle_of(request);
    snprintf(out, size, handle != NULL ? "found\n" : "refused\n");
  } else if (strncmp(request, "slow", 4) == 0) {
    snprintf(out, size, "sum %d\n", sum_of(atoi(request + 4)));
  } else if (strncmp(request, "pid", 3) == 0) {
    snprintf(out, size, "%d\n", getpid());
  } else {
    const int kind = kind_of(request);
    if (kind == 7) {
      snprintf(out, size, "refused\n");
    } else {
      snprintf(out, size, "kind %d\n", kind);
    }
  }
}

static int serve(int listener) {
  for (;;) {
    const int connection = accept(listener, NULL, NULL);
    if (connection < 0) {
      return 1;
    }
    char request[128] = "";
    ssize_t size = read(connection, request, sizeof request - 1);
    if (size > 0) {
      request[strcspn(request, "\r\n")] = '\0';
      char out[64];
      answer(request, out, sizeof out);
      if (write(connection, out, strlen(out)) < 0) {
        return 1;
      }
    }
    close(connection);
  }
}

static int listen_somewhere(const char* port_file) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr*)&address, size) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &size) != 0) {
    return -1;
  }
  char name[512];
  snprintf(name, sizeof name, "%s.new", port_file);
  FILE* file = fopen(name, "w");
  if (file == NULL) {
    return -1;
  }
  fprintf(file, "%d\n", ntohs(address.sin_port));
  fclose(file);
  return rename(name, port_file) == 0 ? listener : -1;
}

int main(int argc, char** argv) {
  fill_tables();
  const int listener = argc < 2 ? -1 : listen_somewhere(argv[1]);
  if (listener < 0) {
    return 2;
  }
  const int workers = argc > 2 ? atoi(argv[2]) : 0;
  for (int i = 0; i < workers; ++i) {
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      return serve(listener);
    }
  }
  if (workers == 0) {
    return serve(listener);
  }
  while (wait(NULL) > 0) {
  }
  return 0;
}
