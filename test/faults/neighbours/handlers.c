// libsigsegv: a stack overflow handler, and a page-fault handler that makes pages as they are used.
#include <setjmp.h>
#include <sigsegv.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { page = 4096, pages = 64 };

static sigjmp_buf back;
static char* area;
static volatile int made = 0;
static char own_stack[64 * 1024] __attribute__((aligned(16)));

static void jump_back(void* a, void* b, void* c) {
  (void)a, (void)b, (void)c;
  siglongjmp(back, 1);
}

static void on_overflow(int emergency, stackoverflow_context_t context) {
  (void)context;
  if (emergency) {
    _Exit(9);
  }
  sigsegv_leave_handler(jump_back, NULL, NULL, NULL);
}

static int on_fault(void* address, int serious) {
  char* at = address;
  if (at >= area && at < area + page * pages) {
    mprotect((char*)((unsigned long)at & ~(page - 1UL)), page, PROT_READ | PROT_WRITE);
    ++made;
    return 1;
  }
  (void)serious;
  return 0;
}

__attribute__((noinline)) static int recurse(volatile int n) {
  volatile char frame[512];
  frame[0] = (char)n;
  return n < 0 ? 0 : recurse(n + 1) + frame[0];
}

int main(int argc, char** argv) {
  (void)argv;
  area = mmap(NULL, page * pages, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  sigsegv_install_handler(on_fault);
  stackoverflow_install_handler(on_overflow, own_stack, sizeof own_stack);
  for (volatile int i = 0; i < pages; ++i) {
    area[i * page] = (char)i;
  }
  printf("pages %d\n", made);
  for (volatile int i = 0; i < 3; ++i) {
    if (sigsetjmp(back, 1) == 0) {
      printf("%d\n", recurse(0));
    }
    printf("overflow %d\n", i);
  }
  fflush(stdout);
  if (argc > 1) {
    *(volatile int*)8 = 1;  // nobody's page: dies
  }
  return 4;
}
