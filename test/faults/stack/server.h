// A request server on standard input: one request a line, one answer a line.
//
//   (nothing)         the first thread serves
//   --worker BYTES    a thread with that much stack
//   --fork            a child for each request; the answer to one whose child died is "killed by N"
#pragma once

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { longest_answer = 200 };

typedef void (*Serve)(char* request, char* answer);

static int forking = 0;

static void answer_one(Serve serve, char* request) {
  char answer[longest_answer] = "";
  serve(request, answer);
  puts(answer);
  fflush(stdout);
}

static void answer_in_child(Serve serve, char* request) {
  const pid_t child = fork();
  if (child == 0) {
    answer_one(serve, request);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    printf("killed by %d\n", WTERMSIG(status));
    fflush(stdout);
  }
}

static void* serve_all(void* serve) {
  char* line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    line[strcspn(line, "\n")] = '\0';
    (forking ? answer_in_child : answer_one)((Serve)(size_t)serve, line);
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
    forking = count == 2 && strcmp(arguments[1], "--fork") == 0;
    serve_all((void*)(size_t)serve);
  }
  return 0;
}
