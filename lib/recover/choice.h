// The error value of one function at one call: all evidence together. docs/values.md explains the
// order.
#pragma once

#include <span>

#include "lib/base/standard_exception.h"
#include "lib/recover/course.h"
#include "lib/recover/other_callers.h"
#include "lib/recover/return_value.h"

namespace selfheal::recover {

// What a virtualized return leaves in registers and behind pointers.
struct Return {
  ReturnValue in_rax;
  bool has_second;        // rdx
  bool has_vector;        // xmm0
  bool is_object;         // the result lies where the first argument points to; rax is that pointer
  bool by_outer_callers;  // the first one hands it on: another stack may ask for another value
  bool is_void;           // nobody looks at rax; `stores` may go to objects anywhere
  bool taken_for_failure;    // for certain, as far as paper goes
  StandardException thrown;  // instead of all of this, if there is a `thrower`
  u8 store_count;
  u32 cleared;  // is_object: so many bytes are zeroed first
  u64 second;
  u64 vector;
  u64 thrower;  // a function of libstdc++ that throws `thrown` (throwing.h); 0: it returns
  ExitStore stores[max_exit_stores];
};

// The call in question: its return address, then those of its callers that may be asked what they
// do with the value.
struct HealedCall {
  std::span<const u64> return_addresses;
  FrameArguments arguments;
  const OtherCallers* others = nullptr;  // of the function; null: not known
  std::span<const u64> stack = {};       // all return addresses, where exceptions matter
};

// What the function leaves beside rax where it ends so: rdx, and what it stores behind pointers.
void leave_as(const Exit& exit, Return& result);

// Signal-safe; a few hundred instructions decoded at most.
Return choose_return(const OwnExits& own, const HealedCall& site, FaultKind kind,
                     const ImageView& image);

}  // namespace selfheal::recover
