// No recursion at all: scratch memory on the stack, as much as the request says. "N" sums N bytes.
#include <alloca.h>

#include "test/faults/stack/server.h"
#include "test/support/opaque.h"

// -1: nothing to sum.
static SELFHEAL_OPAQUE long sum_of(size_t bytes) {
  if (bytes == 0) {
    return -1;
  }
  volatile char* scratch = alloca(bytes);
  long sum = 0;
  for (size_t left = bytes / 64; left-- > 0;) {  // from its end: down to the guard
    scratch[64 * left] = 1;
    sum += scratch[64 * left];
  }
  return sum;
}

static void serve(char* request, char* answer) {
  const long sum = sum_of(strtoul(request, NULL, 10));
  if (sum < 0) {
    snprintf(answer, longest_answer, "error");
  } else {
    snprintf(answer, longest_answer, "%ld", sum);
  }
}

int main(int count, char** arguments) {
  return run_server(count, arguments, serve);
}
