#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <stdio.h>
#include <string>
#include <vector>

namespace {

std::vector<std::string> exported_by(const std::string& library) {
  std::vector<std::string> names;
  FILE* nm = popen(("nm -D --defined-only '" + library + "'").c_str(), "r");
  REQUIRE(nm != nullptr);
  char name[256];
  while (fscanf(nm, "%*s %*s %255s", name) == 1) {
    names.emplace_back(name);
  }
  REQUIRE(pclose(nm) == 0);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("probes/interposed.txt names what the probes export, and nothing else is") {
  std::ifstream file(INTERPOSED);
  const std::vector<std::string> listed{std::istream_iterator<std::string>(file), {}};
  CHECK(listed == exported_by(RECORDER));
}
