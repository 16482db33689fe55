// For a build with a sanitizer: nothing wrong here, unless an argument asks for it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  (void)argv;
  char* text = malloc(8);
  memset(text, 'x', 8);
  printf("%.8s\n", text);
  fflush(stdout);
  if (argc > 1) {
    volatile int most = 0x7fffffff;
    most += argc;                       // UBSan speaks of it and goes on
    text[8 + (volatile int){0}] = 'y';  // ASan ends the program
  }
  free(text);
  return 3;
}
