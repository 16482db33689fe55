// Mutual recursion through a callback: a tree is walked by a general `each_child`, which calls the
// visitor it was given, which calls `each_child`. "N" counts the nodes of a chain of N, each with a
// leaf beside it.
#include "test/faults/stack/server.h"
#include "test/support/opaque.h"

struct Node {
  struct Node* child[2];
};
typedef int (*Visit)(const struct Node* node, void* context);

// Stops at the first visit that fails, and says so.
static SELFHEAL_OPAQUE int each_child(const struct Node* node, Visit visit, void* context) {
  for (int i = 0; i < 2; ++i) {
    if (node->child[i] != NULL && visit(node->child[i], context) != 0) {
      return -1;
    }
  }
  return 0;
}

static __attribute__((noinline)) int count_nodes(const struct Node* node, void* context) {
  ++*(long*)context;
  if (each_child(node, count_nodes, context) < 0) {
    return -1;
  }
  return 0;
}

static void serve(char* request, char* answer) {
  const long length = strtol(request, NULL, 10);
  struct Node* nodes = calloc((size_t)(2 * length + 1), sizeof *nodes);
  for (long i = 0; i < length; ++i) {
    nodes[2 * i].child[0] = &nodes[2 * i + 1];
    nodes[2 * i].child[1] = i + 1 < length ? &nodes[2 * i + 2] : NULL;
  }
  long count = 0;
  if (count_nodes(nodes, &count) != 0) {
    snprintf(answer, longest_answer, "too deep");
  } else {
    snprintf(answer, longest_answer, "%ld nodes", count);
  }
  free(nodes);
}

int main(int count, char** arguments) {
  return run_server(count, arguments, serve);
}
