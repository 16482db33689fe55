// Prints, for N processes that each read through NULL, the nanoseconds from just before the fault
// to the moment their parent learns of their death:
//
//   fault_clock N [LIBRARY]     the processes are started with LIBRARY preloaded
//
// The parent has nothing preloaded: what a recorded fault makes a live process do is not its
// affair.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { shared_fd = 100 };

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}

static long* map_shared(void) {
  void* page = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
  if (page == MAP_FAILED) {
    perror("fault_clock: mmap");
    exit(1);
  }
  return page;
}

__attribute__((noinline)) static int length_of(const int* volatile list) {
  return *list;
}

static int be_child(void) {
  long* begin = map_shared();
  *begin = now();
  return length_of(NULL);
}

int main(int argc, char** argv) {
  if (argc < 2) {
    return be_child();
  }
  struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  int fd = memfd_create("fault_clock", 0);
  if (fd < 0 || dup2(fd, shared_fd) < 0 || ftruncate(shared_fd, sizeof(long)) < 0) {
    perror("fault_clock");
    return 1;
  }
  long* begin = map_shared();
  if (argc > 2) {
    setenv("LD_PRELOAD", argv[2], 1);  // for the children: ours is loaded already
  }
  for (long i = atol(argv[1]); i > 0; --i) {
    pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", "fault_clock", (char*)NULL);
      _exit(127);
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
