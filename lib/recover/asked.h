// What the callers of one call ask for, in view of what the function is known to return itself and
// of what its other callers do: the candidate that is not the function's own, and how the others
// are looked at (choice.cpp).
#pragma once

#include "lib/recover/choice.h"

namespace selfheal::recover {

struct Asked {
  ReturnValue here;    // by the callers of this call
  ReturnValue value;   // by whomever
  CallerUse use;       // what the first caller that does not hand it on does with it
  bool others_decide;  // the callers of this call leave it open, the function's others do not
  bool handed_on;      // by the first caller

  // A number that it is compared with; 0: none.
  i64 compared_with() const { return use.use == Use::compared ? use.constant : 0; }
  // One for which the next function of a list is asked; 0: none is.
  i64 not_mine() const { return use.use == Use::asks_next ? use.constant : 0; }
};

// Signal-safe; a few hundred instructions decoded, and what failure_code() asks.
Asked asked_of(const OwnExits& own, const HealedCall& site, FaultKind kind, const ImageView& image);

}  // namespace selfheal::recover
