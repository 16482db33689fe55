/* server [unprivileged] PORT: an event loop on 127.0.0.1. A request is a line.

     ping    is answered `pong`
     bug     faults in answer(). Nobody on the way back asks whether it was answered:

   serve               the event loop; reads of a connection only what it waits for
     on_request        reads, and says that the connection is at work now, until it is answered
       dispatch          ...
         answer            faults

   With answer() or dispatch() failing, the connection stays at work, nothing is read from it any
   more, and so it is not noticed that the client has gone. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/support/opaque.h"

#define FUNCTION SELFHEAL_APART __attribute__((visibility("default")))

enum { most = 400 };

static struct pollfd connections[most]; /* the first listens */
static int* volatile nowhere;           /* NULL, but the compiler does not know */
static volatile int answered;

FUNCTION void answer(int connection, const char* request) {
  if (strncmp(request, "bug", 3) == 0) {
    answered += *nowhere;
  }
  (void)!send(connections[connection].fd, "pong\n", 5, MSG_NOSIGNAL);
  connections[connection].events = POLLIN;
}

FUNCTION void dispatch(int connection, const char* request) {
  ++answered;
  answer(connection, request);
  --answered;
}

FUNCTION void on_request(int connection) {
  char request[80] = "";
  const ssize_t size = recv(connections[connection].fd, request, sizeof request - 1, 0);
  if (size <= 0) {
    close(connections[connection].fd);
    connections[connection].fd = -1;
    return;
  }
  connections[connection].events = 0;
  dispatch(connection, request);
  ++answered;
}

static void welcome(void) {
  const int client = accept(connections[0].fd, NULL, NULL);
  for (int i = 1; client >= 0 && i < most; ++i) {
    if (connections[i].fd < 0) {
      connections[i].fd = client;
      connections[i].events = POLLIN;
      return;
    }
  }
  close(client);
}

FUNCTION void serve(void) {
  while (poll(connections, most, -1) >= 0) {
    for (int i = 1; i < most; ++i) {
      if ((connections[i].revents & POLLIN) != 0) {
        on_request(i);
      }
    }
    if (connections[0].revents != 0) {
      welcome();
    }
  }
}

int main(int argc, char** argv) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(argv[argc - 1])),
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
  for (int i = 0; i < most; ++i) {
    connections[i].fd = -1;
  }
  connections[0].fd = socket(AF_INET, SOCK_STREAM, 0);
  connections[0].events = POLLIN;
  const int yes = 1;
  setsockopt(connections[0].fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(connections[0].fd, (struct sockaddr*)&address, sizeof address) != 0 ||
      listen(connections[0].fd, 16) != 0) {
    return 1;
  }
  const uid_t nobody = 65534;
  if (argc > 2 && setuid(nobody) != 0) {
    return 3;
  }
  serve();
  return 2;
}
