// A recursive-descent parser: sums the numbers of nested lists. What it allocates on the way down
// it frees on its own error path; the answer says how much is still held.
#include "test/faults/stack/server.h"

struct Input {
  const char* at;
  long held;  // allocations
};

static int value(struct Input* input, long* sum);

// -1: not a list.
static __attribute__((noinline)) int list(struct Input* input, long* sum) {
  char* scratch = malloc(24);
  ++input->held;
  int status = 0;
  ++input->at;
  while (status == 0 && *input->at != ']') {
    status = value(input, sum);
    if (status == 0 && *input->at == ',') {
      ++input->at;
    } else if (*input->at != ']') {
      status = -1;
    }
  }
  if (status == 0) {
    ++input->at;
  }
  free(scratch);
  --input->held;
  return status;
}

static __attribute__((noinline)) int value(struct Input* input, long* sum) {
#ifdef FRAME_BYTES
  volatile char frame[FRAME_BYTES];  // a frame that steps over the guard
  frame[0] = frame[FRAME_BYTES - 1] = 1;
#endif
  if (*input->at == '[') {
    const int status = list(input, sum);
#ifdef FRAME_BYTES
    return frame[0] == 1 ? status : -1;
#else
    return status < 0 ? -1 : status;
#endif
  }
  if (*input->at < '0' || *input->at > '9') {
    return -1;
  }
  *sum += *input->at++ - '0';
  return 0;
}

static void serve(char* request, char* answer) {
  struct Input input = {request, 0};
  long sum = 0;
  if (value(&input, &sum) < 0) {
    snprintf(answer, longest_answer, "error, %ld held", input.held);
  } else {
    snprintf(answer, longest_answer, "%ld, %ld held", sum, input.held);
  }
}

int main(int count, char** arguments) {
  return run_server(count, arguments, serve);
}
