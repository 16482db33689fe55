// A list whose destructor is recursive: "N" builds one of N nodes and drops it. The answer says how
// many nodes are alive afterwards.
#include <memory>

#include "test/faults/stack/server.h"

namespace {

long alive = 0;

struct Node {
  std::unique_ptr<Node> next;
  Node() { ++alive; }
  __attribute__((noinline)) ~Node() { --alive; }
};

void serve(char* request, char* answer) {
  const long before = alive;
  {
    std::unique_ptr<Node> first;
    for (long i = strtol(request, nullptr, 10); i > 0; --i) {
      auto node = std::make_unique<Node>();
      node->next = std::move(first);
      first = std::move(node);
    }
  }
  snprintf(answer, longest_answer, "%ld left", alive - before);
}

}  // namespace

int main(int count, char** arguments) {
  return run_server(count, arguments, serve);
}
