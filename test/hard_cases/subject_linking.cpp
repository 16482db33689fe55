// The dynamic linker at work inside a region (issue 3, item 7).
#include <pthread.h>

#include "test/hard_cases/library.h"
#include "test/hard_cases/subject.h"

using namespace hard;

REGION int first_calls(double (*through_table)(double), int (*chosen)()) {
  const double weight = through_table(1);
  say("%g %g\n", weight, through_table(2));
  say("%d\n", chosen());
  in_engine(__LINE__);
  return 0;
}

HARD_CASE_OF(lazy_binding_and_ifunc, "first_calls", "204 240\n7\n") {
  void* library = open_library("libhard_lazy.so", RTLD_LAZY);
  return first_calls(function_of<double(double)>(library, "call_through_table"),
                     function_of<int()>(library, "call_chosen"));
}

REGION int counts(int (*next)()) {
  next();
  const int count = next();
  in_engine(__LINE__);
  return count;
}

namespace {

int (*counter)();

void* count_in_thread(void*) {
  say("thread %d\n", counts(counter));
  return nullptr;
}

// A module loaded late has its thread-local variables made at their first use, in each thread.
int count_in_each_thread(const char* name) {
  counter = function_of<int()>(open_library(name, RTLD_NOW), "next_count");
  say("main %d\n", counts(counter));
  pthread_t thread;
  pthread_create(&thread, nullptr, count_in_thread, nullptr);
  pthread_join(thread, nullptr);
  say("main %d\n", counts(counter));
  return 0;
}

}  // namespace

HARD_CASE_OF(thread_local_variables_of_a_late_library, "counts", "main 42\nthread 42\nmain 44\n") {
  return count_in_each_thread("libhard_lazy.so");
}

HARD_CASE_OF(thread_local_variables_by_descriptor, "counts", "main 42\nthread 42\nmain 44\n") {
  return count_in_each_thread("libhard_descriptors.so");
}
