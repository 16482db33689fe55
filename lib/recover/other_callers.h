// What a function's other callers take for failure. The one at hand may ignore the value, hand it
// on or leave it open; others that call the same function mostly do not:
//
//   void reload(void)  { load(path); }                        the caller at hand: ignores it
//   int main(…)        { if (load(path) < 0) … }              tests the sign
//   int on_hup(…)      { rc = load(path); if (rc < 0) … }     so does this one: -1 is failure
#pragma once

#include <span>

#include "lib/recover/caller_use.h"

namespace selfheal::recover {

inline constexpr unsigned most_other_callers = 32;

struct OtherCallers {
  u8 count;            // that were looked at
  u8 agree;            // those that take the same value for failure as most of them
  u8 against;          // those that take another one
  CallerUse use;       // what the first of those that agree does
  u64 return_address;  // ... and where

  // Most say something, and few say something else.
  bool decide() const { return agree > 3 * against; }
};

// Those that say nothing, or only let guess, do not count.
OtherCallers tally(std::span<const u64> return_addresses, const ImageView& image);

// Searches the function's module for direct calls. Not for the fault path (image/callers.h).
OtherCallers find_other_callers(const image::Function& function, const ImageView& image);

}  // namespace selfheal::recover
