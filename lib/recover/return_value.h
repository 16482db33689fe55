// What a caller takes for failure: the return value that the code right after its call looks for.
#pragma once

#include <span>

#include "lib/base/fault.h"
#include "lib/base/record.h"
#include "lib/recover/caller_use.h"

namespace selfheal::recover {

struct ReturnValue {
  u64 value;  // for rax, sign-extended to 64 bits
  ValueReason reason;
  i32 error_number;  // what errno should say; 0: leave errno alone
};

// What the caller at return_addresses[0] does with rax. When it only hands rax on to its own
// caller, the next return address is looked at, and so on; further addresses may be missing.
// Signal-safe, no allocation, a bounded number of instructions decoded.
CallerUse use_by_callers(std::span<const u64> return_addresses, const ImageView& image);

// The value that such a caller takes for failure.
ReturnValue value_of(const CallerUse& use, FaultKind kind);

// Both.
ReturnValue infer_return_value(std::span<const u64> return_addresses, FaultKind kind,
                               const ImageView& image);

}  // namespace selfheal::recover
