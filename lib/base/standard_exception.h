// The exceptions of C++'s standard library that libstdc++ has a function for which throws them.
#pragma once

#include <string_view>

#include "lib/base/types.h"

namespace selfheal {

// What a healed call threw is written down as one of these numbers: never renumber.
enum class StandardException : u8 {
  none = 0,
  logic_error = 1,
  domain_error = 2,
  invalid_argument = 3,
  length_error = 4,
  out_of_range = 5,
  runtime_error = 6,
  range_error = 7,
  overflow_error = 8,
  underflow_error = 9,
  bad_alloc = 10,
  bad_cast = 11,
  bad_typeid = 12,
  bad_function_call = 13,
};

inline constexpr StandardException last_standard_exception = StandardException::bad_function_call;

struct StandardExceptionKind {
  const char* name;        // for people
  const char* type;        // as std::type_info::name() says it
  StandardException base;  // none: std::exception itself
  const char* thrower;     // libstdc++'s: void(const char* what), or void()
};

// Of `none`, and of numbers that are none of them, everything is "".
const StandardExceptionKind& kind_of(StandardException exception);

// By what std::type_info::name() says; `none`: it is none of them.
StandardException find_standard_exception(std::string_view type);

// True for itself, its bases, and std::exception.
bool is_a(StandardException exception, std::string_view type);

// What was thrown where a heal's value says so (ValueReason::throws): its low byte.
constexpr StandardException thrown_by(u64 value) {
  return static_cast<StandardException>(value & 0xff);
}

inline const char* name_of(StandardException exception) {
  return kind_of(exception).name;
}

}  // namespace selfheal
