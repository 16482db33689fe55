/* Compiled without call frame information. */
#include <stdio.h>

int main(void) {
  volatile unsigned value = 1;
  for (unsigned i = 0; i < 100000; ++i) {
    value = value * 1664525u + 1013904223u + i;
  }
  printf("%u\n", value);
  return 2;
}
