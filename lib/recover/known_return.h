// What is known of a function beside its code (store/functions.h), and what that makes of the value
// a healed call of it returns.
#pragma once

#include "lib/recover/choice.h"
#include "lib/store/functions.h"

namespace selfheal::recover {

struct KnownFunction {
  store::DeclaredType declared;
  bool failure_known;  // `failure` is the enumerator that says failure by its name
  bool learned;        // `error` is what it was seen to fail with
  u64 failure;
  u64 error;

  bool operator==(const KnownFunction&) const = default;
};

// The function's own way of returning `error`, where it is known: with the errno it sets, and what
// it leaves behind pointers.
Return learned_return(const OwnExits& own, u64 error);

// A declared type in place of a guess. `value` is what was chosen without it.
void sharpen(const KnownFunction& function, const OwnExits& own, FaultKind kind, Return& value);

}  // namespace selfheal::recover
