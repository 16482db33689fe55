// Parses its arguments, one after the other: "crash" makes it crash. Its answers are on stdout.
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char* volatile nothing = NULL;

__attribute__((noinline)) static int parse(const char* text) {
  if (text == NULL) {
    return -1;
  }
  const char* from = strcmp(text, "crash") == 0 ? nothing : text;
  int length = 0;
  while (from[length] != '\0') {
    ++length;
  }
  return length;
}

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    const int length = parse(arguments[i]);
    if (length < 0) {
      puts("refused");
    } else {
      printf("%d\n", length);
    }
  }
  return 0;
}
