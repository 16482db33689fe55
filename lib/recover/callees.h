// What is known on paper of the functions that one calls: how they fail, and what they return
// without being run.
#pragma once

#include "lib/recover/code_walk.h"
#include "lib/recover/library_failures.h"
#include "lib/recover/on_paper.h"

namespace selfheal::recover {

struct Callee {
  u64 at;                         // the call, or the function that is jumped to
  const LibraryFailure* failure;  // null: none is known
  u64 constant;                   // that it returns, if `is_constant`
  bool is_constant;
  bool throws;  // __cxa_throw
  u8 argument;  // that it returns, 1 to 6; 0: none

  // What it returns, called with what is on paper; something, where that is not known.
  Known result(const Paper& paper) const;
};

// Of one function. Kept, as paths come by the same calls again and again, and the module's
// relocations are searched for each. The memory is static: one at a time in the process.
class Callees {
 public:
  Callees(const image::Function& caller, const ImageView& image);

  // Of the call last fetched, which is at `at`.
  const Callee& called_at(u64 at, const CodeWalk& walk) const;
  // Of the function that it ends by jumping to.
  const Callee& continued_at(u64 entry) const;

 private:
  const image::Function& caller_;
  const ImageView& image_;
};

}  // namespace selfheal::recover
