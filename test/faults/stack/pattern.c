// Compiles regular expressions: the recursion is inside libc. "N" asks for N nested groups.
#include <regex.h>

#include "test/faults/stack/server.h"

// -1: no memory, -2: not accepted.
static __attribute__((noinline)) int compile(const char* pattern) {
  regex_t compiled;
  const int error = regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB);
  if (error != 0) {
    return -2;
  }
  regfree(&compiled);
  return 0;
}

static void serve(char* request, char* answer) {
  const size_t depth = strtoul(request, NULL, 10);
  char* pattern = malloc(2 * depth + 2);
  memset(pattern, '(', depth);
  pattern[depth] = 'a';
  memset(pattern + depth + 1, ')', depth);
  pattern[2 * depth + 1] = '\0';
  const int status = compile(pattern);
  free(pattern);
  snprintf(answer, longest_answer, "%s", status < 0 ? "refused" : "compiled");
}

int main(int count, char** arguments) {
  return run_server(count, arguments, serve);
}
