// Tables and colours: on a terminal, in a pipe, and where somebody wants none.
#include <catch2/catch.hpp>
#include <sstream>

#include "cli/table.h"
#include "test/cli/store_fixture.h"

namespace selfheal::cli::test {
namespace {

Table sample() {
  Table table;
  table.column("ID");
  table.column("NAME", Align::left, Fit::cut);
  table.column("COUNT", Align::right);
  table.row({{"1"}, {"a-rather-long-name-of-something"}, {"5"}});
  table.row({{"22"}, {"short", Colour::red}, {"12345"}});
  return table;
}

TEST_CASE("a table without limits shows everything in aligned columns") {
  CHECK(sample().render({}) ==
        "ID  NAME                             COUNT\n"
        "1   a-rather-long-name-of-something      5\n"
        "22  short                            12345\n");
}

TEST_CASE("a narrow terminal cuts what may be cut") {
  CHECK(sample().render({false, 30}) ==
        "ID  NAME                 COUNT\n"
        "1   a-rather-long-nam..      5\n"
        "22  short                12345\n");
  // Never below a readable width, even if lines then wrap.
  CHECK(sample().render({false, 5}).find("a-rath..") != std::string::npos);
}

TEST_CASE("colours do not count as width") {
  CHECK(sample().render({true, 0}).find(
            "22  \x1b[31mshort\x1b[0m                            12345") != std::string::npos);
}

std::string terminal_output(const StoreFixture& store, const Arguments& arguments,
                            const Changes& changes, unsigned short columns = 100) {
  Changes all = changes;
  all.emplace("SELFHEAL_STORE", store.path());
  all.emplace("TERM", "xterm");
  all.emplace("NO_COLOR", std::nullopt);
  Process process(selfheal(arguments), with_library(all), Process::Terminal{columns});
  const Finished finished = process.finish();
  CHECK(finished.status == 0);
  return finished.out;
}

TEST_CASE("escape sequences go to terminals only, and not with NO_COLOR or TERM=dumb") {
  StoreFixture store;
  store.add(crash());
  const std::string id = store.only_id();
  for (const Arguments& arguments :
       {Arguments{"list"}, Arguments{"info", id}, Arguments{"doctor", "true"}}) {
    INFO(arguments[0]);
    CHECK(terminal_output(store, arguments, {}).find('\x1b') != std::string::npos);
    CHECK(terminal_output(store, arguments, {{"NO_COLOR", "1"}}).find('\x1b') == std::string::npos);
    CHECK(terminal_output(store, arguments, {{"TERM", "dumb"}}).find('\x1b') == std::string::npos);
    CHECK(store.selfheal(arguments, {{"TERM", "xterm"}}).out.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("the list fits the terminal's width") {
  StoreFixture store;
  store.add(crash());
  std::istringstream lines(terminal_output(store, {"list"}, {{"NO_COLOR", "1"}}, 90));
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    INFO(line);
    CHECK(line.size() <= 91);  // the terminal adds \r
  }
  CHECK(count == 2);
}

}  // namespace
}  // namespace selfheal::cli::test
