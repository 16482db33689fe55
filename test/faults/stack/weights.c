// Walks a tree and takes no notice of errors: after a call was refused deep down, it goes on with
// the other children of every node above. Weights and their scale are passed in vector registers.
// "N" weighs a chain of N nodes, each with a leaf beside it, which is visited last.
#include "test/faults/stack/server.h"
#include "test/support/opaque.h"

struct Node {
  struct Node* child[2];
  double weight;
};

static long visited;

static SELFHEAL_OPAQUE double weigh(const struct Node* node, double scale, float unit) {
  double sum = scale * node->weight * (double)unit;
  ++visited;
  for (int i = 0; i < 2; ++i) {
    if (node->child[i] != NULL) {
      sum += weigh(node->child[i], scale, unit);
    }
  }
  return sum;
}

static void serve(char* request, char* answer) {
  const long length = strtol(request, NULL, 10);
  struct Node* nodes = calloc((size_t)(2 * length), sizeof *nodes);
  for (long i = 0; i < length; ++i) {
    nodes[2 * i].child[0] = i + 1 < length ? &nodes[2 * i + 2] : NULL;
    nodes[2 * i].child[1] = &nodes[2 * i + 1];
    nodes[2 * i].weight = nodes[2 * i + 1].weight = 0.5;
  }
  visited = 0;
  const double sum = weigh(nodes, 2.0, 3.0F);
  snprintf(answer, longest_answer, "%s, %s", visited == 2 * length ? "all" : "some",
           sum == 3.0 * (double)visited ? "right" : "wrong");
  free(nodes);
}

int main(int count, char** arguments) {
  return run_server(count, arguments, serve);
}
