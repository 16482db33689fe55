#include "lib/base/standard_exception.h"

namespace selfheal {
namespace {

using enum StandardException;

constexpr unsigned count = static_cast<unsigned>(last_standard_exception) + 1;

// In the order of their numbers.
constexpr StandardExceptionKind kinds[count] = {
    {"", "", none, ""},
    {"std::logic_error", "St11logic_error", none, "_ZSt19__throw_logic_errorPKc"},
    {"std::domain_error", "St12domain_error", logic_error, "_ZSt20__throw_domain_errorPKc"},
    {"std::invalid_argument", "St16invalid_argument", logic_error,
     "_ZSt24__throw_invalid_argumentPKc"},
    {"std::length_error", "St12length_error", logic_error, "_ZSt20__throw_length_errorPKc"},
    {"std::out_of_range", "St12out_of_range", logic_error, "_ZSt20__throw_out_of_rangePKc"},
    {"std::runtime_error", "St13runtime_error", none, "_ZSt21__throw_runtime_errorPKc"},
    {"std::range_error", "St11range_error", runtime_error, "_ZSt19__throw_range_errorPKc"},
    {"std::overflow_error", "St14overflow_error", runtime_error, "_ZSt22__throw_overflow_errorPKc"},
    {"std::underflow_error", "St15underflow_error", runtime_error,
     "_ZSt23__throw_underflow_errorPKc"},
    {"std::bad_alloc", "St9bad_alloc", none, "_ZSt17__throw_bad_allocv"},
    {"std::bad_cast", "St8bad_cast", none, "_ZSt16__throw_bad_castv"},
    {"std::bad_typeid", "St10bad_typeid", none, "_ZSt18__throw_bad_typeidv"},
    {"std::bad_function_call", "St17bad_function_call", none, "_ZSt25__throw_bad_function_callv"},
};

}  // namespace

const StandardExceptionKind& kind_of(StandardException exception) {
  const auto number = static_cast<unsigned>(exception);
  return kinds[number < count ? number : 0];
}

StandardException find_standard_exception(std::string_view type) {
  for (unsigned i = 1; i < count; ++i) {
    if (type == kinds[i].type) {
      return static_cast<StandardException>(i);
    }
  }
  return none;
}

bool is_a(StandardException exception, std::string_view type) {
  for (StandardException at = exception; at != none; at = kind_of(at).base) {
    if (type == kind_of(at).type) {
      return true;
    }
  }
  return exception != none && type == "St9exception";
}

}  // namespace selfheal
