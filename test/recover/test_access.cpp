// Functions that decide about access are told by the libraries they ask, whatever their names.
#include <catch2/catch.hpp>

#include "lib/image/symbols.h"
#include "lib/recover/access.h"
#include "test/recover/fixtures/access.h"

using namespace selfheal;

namespace {

template <typename... Parameters>
bool asks(int (*function)(Parameters...)) {
  image::Module module;
  image::Function found;
  REQUIRE(image::find_module(address_of_function(function), module));
  REQUIRE(image::find_function(module, address_of_function(function), found));
  return recover::asks_about_access(recover::live_image(), module, found);
}

}  // namespace

TEST_CASE("who calls a library's check of passwords decides about access") {
  CHECK(asks(&checks_password));
  CHECK(asks(&looks_up_shadow));
}

TEST_CASE("so does who calls it three direct calls down, and no farther") {
  CHECK(asks(&one_away));
  CHECK(asks(&two_away));
  CHECK(asks(&three_away));
  CHECK_FALSE(asks(&four_away));
}

TEST_CASE("others do not") {
  CHECK_FALSE(asks(&asks_nobody));
  CHECK_FALSE(asks(&calls_itself));
}

TEST_CASE("what no relocation is for has no name") {
  image::Module module;
  REQUIRE(image::find_module(address_of_function(&asks_nobody), module));
  CHECK(image::import_at(module, 0) == nullptr);
  CHECK(image::import_at(module, module.start) == nullptr);
}
