/* A server with one connection, which answers what it is asked on the command line:
 *
 *   server page                   a good answer
 *   server missing                the same, and faults behind half of it
 *   server question missing       asks the client back first, and waits for its answer
 *
 * It prints what the client got. A handler that fails is answered by an error page.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/support/opaque.h"

static int server;
static int client;

static int say(const char* text) {
  return (size_t)write(server, text, strlen(text)) == strlen(text) ? 0 : -1;
}

static const char* body_of(const char* request) {
  return strcmp(request, "missing") == 0 ? NULL : "page";
}

/* 0; -1: the request could not be answered */
SELFHEAL_APART static int answer(const char* request, int asks) {
  if (request[0] == '\0' || say("200 OK\n") != 0) {
    return -1;
  }
  if (asks) {
    char reply;
    if (write(client, "y", 1) != 1 || read(server, &reply, 1) != 1) {
      return -1;
    }
  }
  char body[16] = {0};
  const char* from = body_of(request);
  for (int i = 0; from[i] != '\0'; ++i) { /* from may be NULL */
    body[i] = from[i];
  }
  return say(body);
}

int main(int count, char** words) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
    return 2;
  }
  server = ends[0];
  client = ends[1];
  const int asks = count == 3 && strcmp(words[1], "question") == 0;
  if (answer(words[count - 1], asks) < 0) {
    say("500 error\n");
  }
  close(server);
  char got[200];
  for (ssize_t size; (size = read(client, got, sizeof got)) > 0;) {
    fwrite(got, 1, (size_t)size, stdout);
  }
  return 0;
}
