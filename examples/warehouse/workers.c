#include "workers.h"

#include "http.h"
#include "pages.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { max_workers = 64, queue_size = 128, stack_size = 256 * 1024, idle_seconds = 5 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER;
static int queue[queue_size];
static int head;
static int waiting;
static bool stopping;
static pthread_t threads[max_workers];
static int thread_count;
static int serving[max_workers];  // the socket each thread is at, or -1

static int take(int self) {
  int socket = -1;
  pthread_mutex_lock(&lock);
  serving[self] = -1;
  while (waiting == 0 && !stopping) {
    pthread_cond_wait(&not_empty, &lock);
  }
  if (!stopping) {
    socket = queue[head];
    head = (head + 1) % queue_size;
    --waiting;
    serving[self] = socket;
    pthread_cond_signal(&not_full);
  }
  pthread_mutex_unlock(&lock);
  return socket;
}

static void serve(int socket, struct http_request* request, struct http_response* response) {
  bool keep_alive = true;
  request->filled = request->used = 0;
  while (keep_alive) {
    switch (http_read(socket, request)) {
      case http_closed:
        return;
      case http_ok:
        pages_answer(request, response);
        keep_alive = request->keep_alive;
        break;
      case http_bad_request:
        pages_error(response, 400);
        keep_alive = false;
        break;
      case http_too_large:
        pages_error(response, 413);
        keep_alive = false;
        break;
    }
    if (http_write(socket, response, keep_alive) < 0) {
      return;
    }
  }
}

static void* run(void* argument) {
  int self = (int)(long)argument;
  struct http_request* request = malloc(sizeof *request);
  struct http_response* response = malloc(sizeof *response);
  if (!request || !response) {
    abort();
  }
  for (int socket; (socket = take(self)) >= 0;) {
    serve(socket, request, response);
    pthread_mutex_lock(&lock);
    serving[self] = -1;
    pthread_mutex_unlock(&lock);
    close(socket);
  }
  free(request);
  free(response);
  return NULL;
}

int workers_start(int count) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_size);
  for (int i = 0; i < max_workers; ++i) {
    serving[i] = -1;
  }
  while (thread_count < count && thread_count < max_workers) {
    if (pthread_create(&threads[thread_count], &attributes, run, (void*)(long)thread_count) != 0) {
      break;
    }
    ++thread_count;
  }
  pthread_attr_destroy(&attributes);
  return thread_count > 0 ? 0 : -1;
}

void workers_serve(int socket) {
  struct timeval idle = {.tv_sec = idle_seconds};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof idle);
  pthread_mutex_lock(&lock);
  while (waiting == queue_size) {
    pthread_cond_wait(&not_full, &lock);
  }
  queue[(head + waiting++) % queue_size] = socket;
  pthread_cond_signal(&not_empty);
  pthread_mutex_unlock(&lock);
}

void workers_stop(void) {
  pthread_mutex_lock(&lock);
  stopping = true;
  for (int i = 0; i < thread_count; ++i) {
    if (serving[i] >= 0) {
      shutdown(serving[i], SHUT_RD);  // wakes a thread that waits for a request
    }
  }
  pthread_cond_broadcast(&not_empty);
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < thread_count; ++i) {
    pthread_join(threads[i], NULL);
  }
  for (; waiting > 0; --waiting) {
    close(queue[head]);
    head = (head + 1) % queue_size;
  }
}
