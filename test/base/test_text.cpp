#include <catch2/catch.hpp>

#include "lib/base/text.h"

using selfheal::Text;

TEST_CASE("text formats numbers without a library") {
  char buffer[64];
  Text text(buffer, sizeof buffer);
  text << "a=";
  text.decimal(0) << ' ';
  text.decimal(18446744073709551615ULL) << ' ';
  text.signed_decimal(-42) << ' ';
  text.hex(0xbeef, 8);
  CHECK(std::string(text.c_str()) == "a=0 18446744073709551615 -42 0000beef");
}

TEST_CASE("text is cut at the end of its buffer and stays terminated") {
  char buffer[4];
  Text text(buffer, sizeof buffer);
  text << "abcdef";
  CHECK(std::string(text.c_str()) == "abc");
  CHECK(text.cut());
}
