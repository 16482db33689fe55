// Threads of the subject, and how they end.
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "test/hard_cases/subject.h"

namespace hard {

struct Says {
  const char* what;
  ~Says() { say("~%s\n", what); }
};

inline void* number(intptr_t value) {
  return reinterpret_cast<void*>(value);
}

// Joins it and tells how it ended.
inline void show_end(pthread_t thread) {
  void* result = nullptr;
  const int error = pthread_join(thread, &result);
  if (result == PTHREAD_CANCELED) {
    say("%d cancelled\n", error);
  } else {
    say("%d %td\n", error, reinterpret_cast<intptr_t>(result));
  }
}

inline void run(void* (*routine)(void*), void* argument) {
  pthread_t thread;
  if (pthread_create(&thread, nullptr, routine, argument) == 0) {
    show_end(thread);
  }
}

}  // namespace hard
