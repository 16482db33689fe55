// A server of its arguments, in C: each request fails on its way, for the first time. What its
// frames hold has to be given back, once each, and nothing that a surviving frame holds.
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "test/support/opaque.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive;
static pthread_mutex_t callers = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static volatile int changes;
static char said[64];  // by the handlers, in their order

static void say(void* word) {
  strcat(said, word);
}

static void unlock(void* lock) {
  pthread_mutex_unlock(lock);
}

SELFHEAL_OPAQUE static int first_letter(const char* text) {
  changes = changes + 1;
  const int letter = *text;
  return letter == '!' ? -1 : letter;
}

// Nobody but us could release it.
SELFHEAL_OPAQUE static int locked(const char* text) {
  pthread_mutex_lock(&mutex);
  changes = changes + 1;
  const int letter = *text;
  pthread_mutex_unlock(&mutex);
  return letter == '!' ? -1 : letter;
}

SELFHEAL_OPAQUE static int locked_twice(const char* text) {
  pthread_mutex_lock(&recursive);
  pthread_mutex_lock(&recursive);
  pthread_rwlock_rdlock(&table);
  const int letter = *text;
  pthread_rwlock_unlock(&table);
  pthread_mutex_unlock(&recursive);
  pthread_mutex_unlock(&recursive);
  return letter == '!' ? -1 : letter;
}

// The one lock is its caller's, who goes on.
SELFHEAL_OPAQUE static int callers_stays(const char* text) {
  pthread_mutex_lock(&callers);
  const int result = locked(text);
  if (pthread_mutex_trylock(&callers) == 0) {
    strcat(said, "callers' was released ");
  }
  pthread_mutex_unlock(&callers);
  return result;
}

SELFHEAL_OPAQUE static int one_handler(const char* text) {
  volatile int result = -1;
  pthread_mutex_lock(&mutex);
  pthread_cleanup_push(unlock, &mutex);
  changes = changes + 1;
  result = *text;
  pthread_cleanup_pop(1);
  return result == '!' ? -1 : result;
}

// The inner frame has nowhere to return to: both are left.
__attribute__((noreturn)) SELFHEAL_OPAQUE static void give_up(const char* text) {
  pthread_cleanup_push(say, "third ");
  changes = *text;
  pthread_exit(NULL);
  pthread_cleanup_pop(0);
}

SELFHEAL_OPAQUE static int handlers_of_two(const char* text) {
  if (changes < 0) {
    return -1;
  }
  pthread_cleanup_push(say, "first ");
  pthread_cleanup_push(say, "second ");
  if (text == NULL || *text != 'x') {
    give_up(text);
  }
  pthread_cleanup_pop(1);
  pthread_cleanup_pop(1);
  return 1;
}

// The caller's handler stays where it is, and runs when it is its turn.
SELFHEAL_OPAQUE static int callers_handler_stays(const char* text) {
  volatile int result = -1;
  pthread_cleanup_push(say, "caller's ");
  result = one_handler(text);
  strcat(said, "goes on ");
  pthread_cleanup_pop(1);
  return result;
}

static void* end(void* word) {
  pthread_cleanup_push(say, word);
  pthread_exit(NULL);
  pthread_cleanup_pop(0);
}

// libc's own way of ending a thread is as ever.
SELFHEAL_OPAQUE static int a_thread_ends(const char* text) {
  const int result = one_handler(text);
  pthread_t thread;
  pthread_create(&thread, NULL, end, "ended ");
  pthread_join(thread, NULL);
  return result;
}

static const struct {
  const char* name;
  int (*request)(const char*);
} requests[] = {
    {"first_letter", first_letter},
    {"locked", locked},
    {"locked_twice", locked_twice},
    {"callers_stays", callers_stays},
    {"one_handler", one_handler},
    {"handlers_of_two", handlers_of_two},
    {"callers_handler_stays", callers_handler_stays},
    {"a_thread_ends", a_thread_ends},
};

// By another thread, so that no recursive lock is taken for a free one.
static void* look(void* locks) {
  *(int*)locks = (pthread_mutex_trylock(&mutex) != 0) + (pthread_mutex_trylock(&recursive) != 0) +
                 (pthread_mutex_trylock(&callers) != 0) + (pthread_rwlock_trywrlock(&table) != 0);
  if (*(int*)locks == 0) {
    pthread_mutex_unlock(&mutex);
    pthread_mutex_unlock(&recursive);
    pthread_mutex_unlock(&callers);
    pthread_rwlock_unlock(&table);
  }
  return NULL;
}

int main(int count, char** words) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&recursive, &attributes);
  for (int i = 1; i < count; ++i) {
    for (unsigned k = 0; k < sizeof requests / sizeof requests[0]; ++k) {
      if (strcmp(words[i], requests[k].name) != 0) {
        continue;
      }
      said[0] = '\0';
      const int result = requests[k].request(NULL);
      int locks = 0;
      pthread_t thread;
      pthread_create(&thread, NULL, look, &locks);
      pthread_join(thread, NULL);
      printf("%s: %s, %d locked, said: %s\n", words[i], result < 0 ? "refused" : "done", locks,
             said);
      fflush(stdout);
      poll(NULL, 0, 0);  // the next request
    }
  }
}
