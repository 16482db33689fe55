// The recursion that used up a stack: which functions call each other on and on, where that began,
// and which of them is to blame.
//
//        main ─► serve ─► parse_value ─► parse_array ─► parse_value ─► parse_array ─► … ─► guard
//                 ▲       └─────────── the cycle, 100,000 times ──────────────────────┘
//                 └ outermost_call
//
// One walk from the innermost frame outwards, in constant memory: for each function how often it
// was met, the first and the last time. Every function met between two activations of another is in
// a cycle with it. The walk is exact (call frame information), at some 50 ns a frame.
//
// Signal-safe. `collect` reads the stack, which may be less than the bounds say: call it guarded;
// what it had seen until then is kept and good.
#pragma once

#include <span>

#include "lib/recover/image_view.h"
#include "lib/recover/unwind.h"

namespace selfheal::recover {

struct Recursion {
  bool found;
  u32 functions;  // in the cycle
  u64 stride;     // most bytes of stack between two activations of the blamed function;
                  // 0: it is not in the cycle, but the application's function that called there
  u64 outermost_call;  // where the cycle's outermost activation returns to; 0: unknown
  Frame blamed;        // the outermost activation of the blamed function
  u64 blamed_at;       // its number, counted from the innermost frame
};

class RecursionSearch {
 public:
  // Forgets what an earlier search has seen.
  void begin();

  void collect(const Registers& start, const StackBounds& bounds);

  // Where the walk came to; bytes of stack are counted up to there.
  u64 end() const { return end_sp_; }

  // rsp at the entry of the outermost activation of the function (or part) that starts there; 0: it
  // was not met.
  u64 outermost_entry(u64 function);

  // Blame, among the cycle's functions in modules that may be healed: the one met most often, as
  // every turn goes through it (a parser's `value`, not its `array` and `object`); of two met
  // equally often, the one whose caller looks at what it returns, then the outer one. A cycle all
  // in libc is blamed on the function that called into it.
  Recursion conclude(const ImageView& image);

 private:
  struct Met {
    u64 function;  // its start, or that of a split-off part of it
    u64 count;
    u64 first;  // frame numbers: 0 is the innermost
    u64 last;
    u64 first_sp;
    u64 last_sp;
    u64 stride;
    u64 returns_to;  // of the second activation from inside
    Frame outermost;

    u64 span() const { return last_sp - first_sp; }
  };

  Met& met(u64 function);
  void note(const Frame& frame, u64 function, u64 caller);
  void merge_parts(const ImageView& image);
  const Met* most_met() const;
  bool in_cycle(const Met& other, const Met& most) const;
  const Met* blamed_of(const Met& most, const ImageView& image) const;
  bool blame_outwards(const Met& outermost, const ImageView& image, Recursion& result);

  static constexpr unsigned max_met = 32;
  StackBounds bounds_{};
  u64 start_sp_ = 0;
  u64 end_sp_ = 0;
  u64 frames_ = 0;
  unsigned count_ = 0;
  Met met_[max_met]{};
  CallSites sites_{};
};

}  // namespace selfheal::recover
