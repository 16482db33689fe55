#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <typeinfo>

#include "lib/recover/type_name.h"

using namespace selfheal;

namespace {

struct Hidden {};

std::string said(const char* mangled) {
  char buffer[256];
  Text text(buffer, sizeof buffer);
  recover::say_type(mangled, text);
  return text.c_str();
}

}  // namespace

TEST_CASE("names as the compiler writes them", "[type_name]") {
  CHECK(said(typeid(int).name()) == "int");
  CHECK(said(typeid(const char*).name()) == "char const*");
  CHECK(said(typeid(std::string).name()) == "std::string");
  CHECK(said(typeid(std::runtime_error).name()) == "std::runtime_error");
  CHECK(said(typeid(Hidden).name()) == "(anonymous namespace)::Hidden");
}

TEST_CASE("what is not understood is written as it is", "[type_name]") {
  for (const char* name :
       {"St6vectorIiSaIiEE", "N3fooE4", "N3foo", "99x", "0", "N", "St", "", "3fo"}) {
    CHECK(said(name) == name);
  }
  CHECK(said("*3foo") == "foo");
}
