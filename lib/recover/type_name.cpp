#include "lib/recover/type_name.h"

#include <string_view>

namespace selfheal::recover {
namespace {

struct Basic {
  std::string_view mangled;
  const char* name;
};
constexpr Basic basics[] = {
    {"i", "int"},    {"j", "unsigned"},
    {"l", "long"},   {"m", "unsigned long"},
    {"b", "bool"},   {"c", "char"},
    {"d", "double"}, {"PKc", "char const*"},
    {"Pc", "char*"}, {"NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", "std::string"},
};

// std::string_view's own functions that take a position may throw: none of them here.
bool starts_with(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && std::string_view(text.data(), with.size()) == with;
}

// One <length><name>; false when it is none.
bool say_source_name(std::string_view& rest, Text& out) {
  u64 length = 0;
  u64 digits = 0;
  for (; digits < rest.size() && digits < 4 && rest[digits] >= '0' && rest[digits] <= '9';
       ++digits) {
    length = length * 10 + static_cast<u64>(rest[digits] - '0');
  }
  if (digits == 0 || length == 0 || digits + length > rest.size()) {
    return false;
  }
  const std::string_view name(rest.data() + digits, length);
  if (starts_with(name, "_GLOBAL__N")) {
    out << "(anonymous namespace)";
  } else {
    for (const char c : name) {
      out << c;
    }
  }
  rest.remove_prefix(digits + length);
  return true;
}

bool say_nested(std::string_view rest, Text& out) {
  const bool nested = !rest.empty() && rest.front() == 'N';
  if (nested) {
    rest.remove_prefix(1);
  }
  bool first = true;
  if (starts_with(rest, "St")) {
    rest.remove_prefix(2);
    out << "std";
    first = false;
  }
  do {
    if (!first) {
      out << "::";
    }
    first = false;
    if (!say_source_name(rest, out)) {
      return false;
    }
  } while (nested && !rest.empty() && rest.front() != 'E');
  return nested ? rest == "E" : rest.empty();
}

}  // namespace

void say_type(const char* mangled, Text& out) {
  const std::string_view name = *mangled == '*' ? mangled + 1 : mangled;  // '*': compare by address
  for (const Basic& basic : basics) {
    if (name == basic.mangled) {
      out << basic.name;
      return;
    }
  }
  char buffer[128];
  Text plain(buffer, sizeof buffer);
  out << (say_nested(name, plain) && !plain.cut() ? plain.c_str() : name.data());
}

}  // namespace selfheal::recover
