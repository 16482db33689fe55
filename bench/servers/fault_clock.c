// Prints, for N children that each read through NULL, the nanoseconds from just before the fault to
// the moment the parent learns of the child's death.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}

__attribute__((noinline)) static int length_of(const int* volatile list) {
  return *list;
}

int main(int argc, char** argv) {
  long children = argc > 1 ? atol(argv[1]) : 100;
  struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  long* begin =
      mmap(NULL, sizeof *begin, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) {
    return 1;
  }
  for (long i = 0; i < children; ++i) {
    pid_t child = fork();
    if (child == 0) {
      *begin = now();
      _exit(length_of(NULL));
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGSEGV) {
      fputs("fault_clock: the child did not die of SIGSEGV\n", stderr);
      return 1;
    }
    printf("%ld\n", now() - *begin);
  }
  return 0;
}
