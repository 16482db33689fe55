/* server [unprivileged] WHAT: an event loop over its standard input, which brings requests of four
   bytes. Each makes it fault in take():

     before     before the request is read: the event is there again at once. If on_event() fails,
                the request is thrown away
     helpless   the same, but nobody makes anything of on_event()'s failure
     around     the same, and the functions around it wait themselves
     inside     after take() has read it
     outside    after on_event() has read it
     line       the same, by fgets
     timer      at each tick, of 20 ms; there are no requests

   main         poll            main         around
     on_event                     serve        for ever
       take       faults            turn         poll
                                      on_event
                                        take       faults */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test/support/opaque.h"

#define FUNCTION SELFHEAL_APART __attribute__((visibility("default")))

enum { request_size = 4, tick = 20 };

static const char* what;
static int* volatile nowhere; /* NULL, but the compiler does not know */
static volatile int events;

static int is(const char* name) {
  return strcmp(what, name) == 0;
}

static void say(const char* line) {
  if (write(STDOUT_FILENO, line, strlen(line)) < 0) {
    _exit(3);
  }
}

/* Ends the program when there are no more. */
static void read_request(void) {
  char request[request_size];
  if (read(STDIN_FILENO, request, sizeof request) <= 0) {
    _exit(0);
  }
}

static void read_line(void) {
  char line[request_size + 1];
  if (fgets(line, sizeof line, stdin) == NULL) {
    _exit(0);
  }
}

FUNCTION void take(void) {
  if (is("inside")) {
    read_request();
  }
  events += *nowhere;
}

FUNCTION int on_event(void) {
  const int before = events;
  if (is("outside")) {
    read_request();
  } else if (is("line")) {
    read_line();
  }
  take();
  if (is("inside") || is("outside") || is("line") || is("timer")) {
    say("refused\n");
  }
  return before == events ? 0 : -1;
}

FUNCTION void turn(struct pollfd* input) {
  if (poll(input, 1, -1) > 0) {
    on_event();
  }
  ++events;
}

FUNCTION void serve(struct pollfd* input) {
  for (;;) {
    turn(input);
  }
}

int main(int argc, char** argv) {
  const uid_t nobody = 65534;
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  what = argv[argc - 1];
  setvbuf(stdin, NULL, _IONBF, 0);
  if (argc > 2 && setuid(nobody) != 0) {
    return 3;
  }
  if (is("timer")) {
    input.fd = -1;
  }
  if (is("around")) {
    serve(&input);
  }
  while (poll(&input, 1, is("timer") ? tick : -1) >= 0) {
    if (on_event() < 0 && is("before")) {
      read_request();
      say("dropped\n");
    }
  }
  return 2;
}
