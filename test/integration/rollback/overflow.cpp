// rollback_overflow [die]: a region whose writes fit into its undo log, then do not, then do again.
// With `die` it faults when they do not.
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

using u64 = unsigned long;

constexpr u64 small = 1000;
constexpr u64 large = 1'000'000;
u64 words[large];
volatile u64 zero = 0;

void require(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::exit(1);
  }
}

}  // namespace

// Every second word, so that no record can be joined to the one before it.
extern "C" [[gnu::noinline]] long region(u64 count, bool fails) {
  for (u64 i = 0; i < count; i += 2) {
    words[i] = ~i;
  }
  if (fails) {
    *reinterpret_cast<volatile u64*>(zero + 16) = 1;
  }
  return 1;
}

int main(int count, char**) {
  require(region(small, true) <= 0, "a small region is healed");
  require(words[0] == 0 && words[small - 2] == 0, "and has left no trace");
  for (int i = 0; i < 3; ++i) {
    std::memset(words, 0, sizeof words);
    require(region(large, false) == 1, "a large one succeeds");
    for (u64 w = 0; w < large; w += 2) {
      require(words[w] == ~w, "with all it wrote, before and after its log was full");
    }
    std::memset(words, 0, sizeof words);
    require(region(small, true) <= 0, "a small one is healed again");
    require(words[0] == 0 && words[small - 2] == 0, "and has left no trace again");
  }
  if (count > 1) {
    region(large, true);
    std::puts("not reached");
  }
  return 0;
}
