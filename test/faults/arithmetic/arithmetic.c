/* Arithmetic, traps, mapped files and alignment, each a request to the server. */
#include "service.h"

#include <fenv.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the compiler must not see through. */
static volatile int zero;
static volatile int minus_one = -1;
static volatile int smallest = INT_MIN;
static volatile int largest = INT_MAX;

static int do_good(const char* text) {
  ++served;
  return (int)strlen(text) + 1;
}

static int do_zero(const char* text) {
  ++served;
  return 10 / (strlen(text) != 0 ? zero : 1);
}

static int do_quotient(const char* text) {
  ++served;
  return smallest / (strlen(text) != 0 ? minus_one : -2);
}

static int do_trap(const char* text) {
  ++served;
  if (strlen(text) != 0) {
    __builtin_trap();
  }
  return 1;
}

/* As -fsanitize-trap does it: gcc with ud2, clang with ud1 and the number of the check. */
__attribute__((noinline)) static int add(int a, int b) {
  int sum;
  if (__builtin_add_overflow(a, b, &sum)) {
    __builtin_trap();
  }
  return sum;
}

static int do_sanitizer(const char* text) {
  ++served;
  return (add(largest, (int)strlen(text)) & 1) + 1;
}

static int do_check(const char* text) {
  ++served;
  if (strlen(text) != 0) {
    __asm__ volatile(".byte 0x67, 0x0f, 0xb9, 0x40, 0x12"); /* ud1 18(%eax), %eax: OutOfBounds */
  }
  return 1;
}

static int do_privileged(const char* text) {
  ++served;
  if (strlen(text) != 0) {
    __asm__ volatile("hlt");
  }
  return 1;
}

static int do_breakpoint(const char* text) {
  ++served;
  if (strlen(text) != 0) {
    __asm__ volatile("int3");
  }
  return 1;
}

/* Two pages mapped of a file that then loses the second. */
static char* map_file(int cut) {
  char name[] = "/tmp/selfheal-arithmetic-XXXXXX";
  const int file = mkstemp(name);
  if (file < 0 || ftruncate(file, 8192) != 0) {
    exit(2);
  }
  unlink(name);
  char* memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED || (cut && ftruncate(file, 4096) != 0)) {
    exit(2);
  }
  close(file);
  return memory;
}

static char* mapped;

__attribute__((noinline)) static int first_byte_of(const volatile char* page) {
  return page[0] + 1;
}

static int do_map_read(const char* text) {
  ++served;
  mapped = map_file(strlen(text) != 0);
  return first_byte_of(mapped + 4096);
}

static int do_map_write(const char* text) {
  ++served;
  mapped = map_file(strlen(text) != 0);
  ((volatile char*)mapped)[100] = 'a';
  ((volatile char*)mapped)[4096] = 'b';
  return 1;
}

static int do_map_copy(const char* text) {
  static char copy[8192];
  ++served;
  mapped = map_file(strlen(text) != 0);
  memcpy(copy, mapped, 4096 + (size_t)(strlen(text) + 1) * 100);
  return copy[0] + 1;
}

/* The kernel says EFAULT, and nothing is a fault. */
static int do_map_send(const char* text) {
  int ends[2];
  ++served;
  mapped = map_file(strlen(text) != 0);
  if (pipe(ends) != 0) {
    exit(2);
  }
  const ssize_t sent = write(ends[1], mapped + 4096, 100);
  close(ends[0]);
  close(ends[1]);
  return sent == 100 ? 1 : -1;
}

typedef int quad __attribute__((vector_size(16)));

__attribute__((noinline)) static int first_of(const char* at) {
  quad value;
  __asm__ volatile("movaps %1, %0" : "=x"(value) : "m"(*(const quad*)(const void*)at));
  return value[0];
}

__attribute__((noinline)) static void clear_at(char* at) {
  const quad value = {0, 0, 0, 0};
  __asm__ volatile("movaps %1, %0" : "=m"(*(quad*)(void*)at) : "x"(value));
}

static char room[64] __attribute__((aligned(16)));

static int do_aligned_read(const char* text) {
  ++served;
  return first_of(room + strlen(text)) + 1;
}

static int do_aligned_write(const char* text) {
  ++served;
  clear_at(room + strlen(text));
  return 1;
}

/* With the flag that makes the processor check what it usually does not (#AC). */
__attribute__((noinline)) static int read_checked(const char* at) {
  int value;
  __asm__ volatile(
      "sub $128, %%rsp\n\tpushf\n\torl $0x40000, (%%rsp)\n\tpopf\n\t"
      "movl %1, %0\n\t"
      "pushf\n\tandl $~0x40000, (%%rsp)\n\tpopf\n\tadd $128, %%rsp"
      : "=r"(value)
      : "m"(*(const int*)(const void*)at)
      : "cc");
  return value;
}

static int do_flag(const char* text) {
  static char* volatile at = room;
  ++served;
  return read_checked(at + strlen(text)) + 1;
}

static int do_float(const char* text) {
  volatile double divisor = strlen(text) != 0 ? 0.0 : 2.0;
  ++served;
  feenableexcept(FE_DIVBYZERO);
  const double quotient = 1.0 / divisor;
  fedisableexcept(FE_DIVBYZERO);
  return quotient < 1.0 ? 1 : 2;
}

const struct service services[] = {
    {"good", do_good},
    {"zero", do_zero},
    {"quotient", do_quotient},
    {"trap", do_trap},
    {"sanitizer", do_sanitizer},
    {"check", do_check},
    {"privileged", do_privileged},
    {"breakpoint", do_breakpoint},
    {"map_read", do_map_read},
    {"map_write", do_map_write},
    {"map_copy", do_map_copy},
    {"map_send", do_map_send},
    {"aligned_read", do_aligned_read},
    {"aligned_write", do_aligned_write},
    {"flag", do_flag},
    {"float", do_float},
    {NULL, NULL},
};
