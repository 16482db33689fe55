// A server of its command line: each argument is a request, handled by the function that the first
// argument names, and answered "accepted" or "refused". A request that is too long overflows.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/support/opaque.h"

#define BARE SELFHEAL_APART __attribute__((no_stack_protector))
#define WITH_CANARY SELFHEAL_APART

// Keeps the compiler from knowing what a buffer's address is good for.
static char* hidden(char* p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

static int answered;

// Canary, and a copy by libc.
WITH_CANARY static int with_strcpy(const char* request) {
  char buffer[32];
  strcpy(hidden(buffer), request);
  answered += buffer[0];
  return buffer[0] == 'x' ? -1 : 0;
}

// Canary, and a loop of its own.
WITH_CANARY static int with_loop(const char* request) {
  char buffer[32];
  char* to = hidden(buffer);
  while ((*to++ = *request++) != 0) {
  }
  answered += buffer[0];
  return buffer[0] == 'x' ? -1 : 0;
}

// Canary, and the kernel told of more room than there is.
WITH_CANARY static int with_read(const char* request) {
  char buffer[32];
  int ends[2];
  if (pipe(ends) != 0 || write(ends[1], request, strlen(request) + 1) < 0) {
    return -1;
  }
  const long n = read(ends[0], hidden(buffer), 4096);
  close(ends[0]);
  close(ends[1]);
  answered += buffer[0];
  return n <= 0 || buffer[0] == 'x' ? -1 : 0;
}

// Canary, and libc's formatted output.
WITH_CANARY static int with_sprintf(const char* request) {
  char buffer[32];
  sprintf(hidden(buffer), "%s/%d", request, 7);
  answered += buffer[0];
  return buffer[0] == 'x' ? -1 : 0;
}

// No canary: the return address is what is reached first.
BARE static int without_canary(const char* request) {
  char buffer[32];
  strcpy(hidden(buffer), request);
  answered += buffer[0];
  return buffer[0] == 'x' ? -1 : 0;
}

// The overflowing function is the caller of the one that writes.
BARE static void fill(char* to, const char* request) {
  while ((*to++ = *request++) != 0) {
  }
}
BARE static int through_callee(const char* request) {
  char buffer[32];
  fill(hidden(buffer), request);
  answered += buffer[0];
  return buffer[0] == 'x' ? -1 : 0;
}

// A word far behind an array: no canary is touched, and the return address is an address of code.
BARE static void attacker_wants(void) {
  static const char won[] = "HIJACKED\n";
  if (write(1, won, sizeof won - 1) < 0) {
    _exit(4);
  }
  _exit(3);
}
BARE static int one_word(const char* request) {
  uint64_t words[4] = {0};
  uint64_t* to = (void*)hidden((char*)words);
  if (strlen(request) > 31) {
    // Where the return address is, says the call frame; an attacker knows the program.
    uint64_t* slot = (uint64_t*)__builtin_frame_address(0) + 1;
    to = (void*)hidden((char*)slot);
    *to = (uint64_t)&attacker_wants;
    return 0;
  }
  to[request[0] & 3] = 1;
  answered += (int)words[0];
  return request[0] == 'x' ? -1 : 0;
}

// A function pointer that leads to data: on the heap, or beyond the address space.
BARE static int calls_data(const char* request) {
  static int (*handler)(const char*) = 0;
  char* data = malloc(64);
  memset(data, 0xc3, 64);
  handler = strlen(request) > 31 ? (int (*)(const char*))(uintptr_t)data : puts;
  const int result = handler(request);
  answered += result;
  free(data);
  return request[0] == 'x' ? -1 : 0;
}

// Memory that a protection key has closed.
BARE static int reads_locked(const char* request) {
  static char* locked;
  if (locked == NULL) {
    locked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
    if (key < 0 || pkey_mprotect(locked, 4096, PROT_READ | PROT_WRITE, key) != 0) {
      puts("no protection keys");
      exit(77);
    }
  }
  answered += strlen(request) > 31 ? *(volatile char*)locked : 0;
  return request[0] == 'x' ? -1 : 0;
}

static const struct {
  const char* name;
  int (*handle)(const char*);
} handlers[] = {
    {"with_strcpy", with_strcpy},
    {"with_loop", with_loop},
    {"with_read", with_read},
    {"with_sprintf", with_sprintf},
    {"without_canary", without_canary},
    {"through_callee", through_callee},
    {"one_word", one_word},
    {"calls_data", calls_data},
    {"reads_locked", reads_locked},
};

int main(int count, char** arguments) {
  setvbuf(stdout, NULL, _IONBF, 0);
  int (*handle)(const char*) = NULL;
  for (unsigned i = 0; i < sizeof handlers / sizeof handlers[0]; ++i) {
    if (count > 1 && strcmp(handlers[i].name, arguments[1]) == 0) {
      handle = handlers[i].handle;
    }
  }
  if (handle == NULL) {
    return 2;
  }
  for (int i = 2; i < count; ++i) {
    puts(handle(arguments[i]) < 0 ? "refused" : "accepted");
  }
  puts("end");
  return 0;
}
