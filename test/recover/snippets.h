// Code as it may stand behind a call, and what must be made of it.
#pragma once

#include "lib/base/record.h"

namespace selfheal::test {

struct Snippet {
  const char* name;
  const char* code;  // the return address
  i64 value;
  ValueReason reason;
};

extern const Snippet snippets[];  // ended by a null name

}  // namespace selfheal::test
