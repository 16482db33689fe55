#include <catch2/catch.hpp>

#include "lib/base/function_name.h"

using namespace selfheal;

TEST_CASE("a function is named by its name or its offset in a module") {
  FunctionName name;
  REQUIRE(split_function_name("httpd!ap_read_request", name));
  CHECK(name.module == "httpd");
  CHECK(name.function == "ap_read_request");
  CHECK(name.offset.empty());

  REQUIRE(split_function_name("/usr/lib/libstdc++.so.6+0x1f40", name));
  CHECK(name.module == "/usr/lib/libstdc++.so.6");
  CHECK(name.function.empty());
  CHECK(name.offset == "0x1f40");

  REQUIRE(split_function_name("a+0x1!f+0x2", name));
  CHECK(name.module == "a+0x1");
  CHECK(name.function == "f+0x2");

  REQUIRE(split_function_name("a+0x1+0x2", name));
  CHECK(name.module == "a+0x1");
}

TEST_CASE("what names no module, or nothing in it, is no function's name") {
  FunctionName name;
  for (const char* text : {"", "841ad364d932", "m", "m!", "!f", "!", "+0x10", "m+16"}) {
    INFO(text);
    CHECK_FALSE(split_function_name(text, name));
  }
}
