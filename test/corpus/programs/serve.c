#include "serve.h"

#include <dirent.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void answer(struct reply* reply, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t room = sizeof reply->text - reply->length;
  int n = vsnprintf(reply->text + reply->length, room, format, arguments);
  va_end(arguments);
  if (n > 0) {
    reply->length += (size_t)n < room ? (size_t)n : room - 1;
  }
}

char* next_word(char** rest) {
  char* word = *rest + strspn(*rest, " ");
  char* end = word + strcspn(word, " ");
  *rest = *end == '\0' ? end : end + 1;
  *end = '\0';
  return word;
}

static int entries(const char* folder) {
  int count = 0;
  DIR* directory = opendir(folder);
  if (directory != NULL) {
    while (readdir(directory) != NULL) {
      ++count;
    }
    closedir(directory);
  }
  return count;
}

static void resources(const struct server* server, struct reply* reply) {
  size_t heap = mallinfo2().uordblks;
  answer(reply, "heap=%zu fds=%d threads=%d held=%ld", heap, entries("/proc/self/fd"),
         entries("/proc/self/task"), server->held == NULL ? 0 : server->held());
}

int serve(const struct server* server) {
  char line[1024];
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    struct reply reply = {.length = 0};
    if (strcmp(line, "STATE") == 0) {
      server->state(&reply);
    } else if (strcmp(line, "RES") == 0) {
      resources(server, &reply);
    } else {
      server->handle(line, &reply);
    }
    puts(reply.text);
    fflush(stdout);
  }
  return 0;
}
