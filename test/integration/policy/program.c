/* program FUNCTION N: calls one of three functions N times with NULL, and prints what it got. */
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support/opaque.h"

__attribute__((noinline, visibility("default"))) int parse_request(const int* request) {
  return *request;
}

/* 0: he may come in. */
__attribute__((noinline, visibility("default"))) int check_password(const char* password) {
  return strcmp(password, "secret") != 0;
}

/* Its name says nothing, but whom it asks does. */
SELFHEAL_OPAQUE static int look_up(const char* name) {
  const struct spwd* entry = getspnam("nobody at all");
  return *name != 'a' || entry != NULL;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = atoi(argv[2]); i > 0; --i) {
    if (strcmp(argv[1], "parse") == 0) {
      if (parse_request(NULL) < 0) {
        puts("refused");
      } else {
        puts("accepted");
      }
    } else if ((strcmp(argv[1], "account") == 0 ? look_up(NULL) : check_password(NULL)) == 0) {
      puts("let in");
    } else {
      puts("kept out");
    }
  }
}
