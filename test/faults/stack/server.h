// A request server on standard input: one request a line, one answer a line. With "--worker BYTES" a
// thread with that much stack serves, else the first thread.
//
//   int serve(char* request, char* answer);      what the program is about
#pragma once

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { longest_answer = 200 };

typedef void (*Serve)(char* request, char* answer);

static void* serve_all(void* serve) {
  char* line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    char answer[longest_answer] = "";
    line[strcspn(line, "\n")] = '\0';
    ((Serve)(size_t)serve)(line, answer);
    puts(answer);
    fflush(stdout);
  }
  free(line);
  return NULL;
}

static int run_server(int count, char** arguments, Serve serve) {
  if (count == 3 && strcmp(arguments[1], "--worker") == 0) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, strtoul(arguments[2], NULL, 0)) != 0 ||
        pthread_create(&thread, &attributes, serve_all, (void*)(size_t)serve) != 0) {
      return 2;
    }
    pthread_join(thread, NULL);
  } else {
    serve_all((void*)(size_t)serve);
  }
  return 0;
}
