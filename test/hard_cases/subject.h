// The hard cases: what real programs do that engines get wrong, one named case each.
//
//   HARD_CASE(case_name, "the output it must have\n", ...) { ...; return 0; }
//     The body is the region: it runs natively first, then from its entry to its end in the engine.
//
//   REGION int inner(int x) { ... }
//   HARD_CASE_OF(case_name, "inner", "the output it must have\n", ...) { ... inner(1) ...; return
//   0; }
//     The body runs natively and calls the region: for what happens at a region's edge. Several
//     regions: "outer inner".
//
// The body's value is the exit status and must be 0 unless `.status` or `.signal` says otherwise.
// Cases print with `say` (no buffer of stdio's that a fork would double) and print nothing that
// differs from run to run. `in_engine(__LINE__)` demands that at this point the calling thread's
// region is still run by the engine; natively it says nothing. CMake makes a test of every line
// that begins with HARD_CASE, so a case is a function in a file, and nothing else.
#pragma once

#include <stdint.h>

namespace hard {

struct Expected {
  const char* output = "";
  int status = 0;
  int signal = 0;            // that ends the process instead
  bool leaves = false;       // the region may go native before it ends (docs/engine.md says why)
  const char* options = "";  // for SELFHEAL_OPTIONS, besides region=
};

struct Case {
  Case(const char* case_name, const char* its_regions, int (*its_body)(), Expected its_expected);
  const char* name;
  const char* regions;  // function names, separated by blanks
  int (*body)();
  Expected expected;
  const Case* next;
};

#ifdef __clang__  // which clones nothing
  #define REGION extern "C" [[gnu::noinline, gnu::used]]
#else
  #define REGION extern "C" [[gnu::noinline, gnu::noclone, gnu::used]]
#endif

#define HARD_CASE_OF(name, regions, ...)                                            \
  extern "C" int name();                                                            \
  static const hard::Case registered_##name(#name, regions, name,                   \
                                            hard::Expected{.output = __VA_ARGS__}); \
  REGION int name()

#define HARD_CASE(name, ...) HARD_CASE_OF(name, #name, __VA_ARGS__)

// printf to standard output, in one write.
[[gnu::format(printf, 1, 2)]] void say(const char* format, ...);

// Must be true here: see above. `line` is what the runner reports.
void in_engine(int line);

// Is libselfheal loaded? Only for what a case must do differently to see anything at all.
bool loaded();

// A region's last act: a NULL dereference, healed to 0. Natively nobody heals, so 0 is returned,
// and what the rollback would have done is done by hand.
int fail();
template <typename Undo>
void as_rolled_back(Undo undo) {
  if (!loaded()) {
    undo();
  }
}

// What the statistics say now; zero natively.
uint64_t heals();
uint64_t region_calls();
uint64_t bytes_undone();

}  // namespace hard
