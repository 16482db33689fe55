// A parser on stacks that the program made itself: nobody knows where they end. The answer says how
// deep the lists are nested.
#include <sys/mman.h>
#include <ucontext.h>

#include "test/faults/stack/server.h"

enum { page = 4096, stack_size = 128 * 1024 };

static ucontext_t server, parser;
static const char* input;
static char* result;

// The depth, or -1.
static __attribute__((noinline)) int depth_of(const char** at) {
  int deepest = 0;
  for (++*at; **at != ']';) {
    if (**at != '[') {
      return -1;
    }
    const int depth = depth_of(at);
    if (depth < 0) {
      return -1;
    }
    deepest = depth > deepest ? depth : deepest;
  }
  ++*at;
  return deepest + 1;
}

static void parse(void) {
  const char* at = input;
  const int depth = *at == '[' ? depth_of(&at) : -1;
  if (depth < 0) {
    snprintf(result, longest_answer, "error");
  } else {
    snprintf(result, longest_answer, "depth %d", depth);
  }
}

static void serve(char* request, char* answer) {
  static char* memory = NULL;
  if (memory == NULL) {
    memory =
        mmap(NULL, page + stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(memory, page, PROT_NONE);
  }
  input = request;
  result = answer;
  getcontext(&parser);
  parser.uc_stack.ss_sp = memory + page;
  parser.uc_stack.ss_size = stack_size;
  parser.uc_link = &server;
  makecontext(&parser, parse, 0);
  swapcontext(&server, &parser);
}

int main(int count, char** arguments) {
  return run_server(count, arguments, serve);
}
