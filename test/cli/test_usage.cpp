// What is said to somebody who does not know the command.
#include <catch2/catch.hpp>

#include "test/cli/process.h"

namespace selfheal::cli::test {
namespace {

bool is_one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == text.size() - 1;
}

TEST_CASE("every command has help with examples") {
  for (const char* command :
       {"run", "list", "info", "forget", "enable", "disable", "config", "doctor", "version"}) {
    INFO(command);
    const Finished finished = run(selfheal({command, "--help"}));
    CHECK(finished.status == 0);
    CHECK(finished.err == "");
    CHECK(finished.out.find("Usage: selfheal " + std::string(command)) != std::string::npos);
    CHECK(finished.out.find(std::string("Examples:\n  ")) != std::string::npos);
    CHECK(finished.out.find("--store DIR") != std::string::npos);
  }
  const Finished top = run(selfheal({"--help"}));
  CHECK(top.status == 0);
  CHECK(top.out.find("Examples:\n") != std::string::npos);
}

TEST_CASE("wrong usage is one line and status 2") {
  const std::vector<Arguments> wrong = {
      {},
      {"lisst"},
      {"list", "--no-such"},
      {"list", "too", "many"},
      {"info"},
      {"enable"},
      {"forget"},
      {"forget", "--all", "1234"},
      {"forget", "--all", "--kind", "divide"},
      {"forget", "--kind", "nonsense"},
      {"config", "--mode", "nonsense"},
      {"doctor"},
      {"campaign"},
      {"campaign", "--workload", "true"},
  };
  for (const Arguments& arguments : wrong) {
    std::string shown;
    for (const std::string& argument : arguments) {
      shown += argument + " ";
    }
    INFO(shown);
    const Finished finished = run(selfheal(arguments));
    CHECK(finished.status == 2);
    CHECK(finished.out == "");
    CHECK(finished.err.find("selfheal: ") == 0);
    CHECK(is_one_line(finished.err));
  }
  CHECK(run(selfheal({"lisst"})).err ==
        "selfheal: there is no command 'lisst'; did you mean 'list'? (see `selfheal --help`)\n");
}

TEST_CASE("a full disk is a failure, not a success") {
  const Finished finished = run({"sh", "-c", std::string(SELFHEAL_CLI) + " config > /dev/full"});
  CHECK(finished.status == 1);
  CHECK(finished.err.find("cannot write the output") != std::string::npos);
}

TEST_CASE("the version is told") {
  const Finished finished = run(selfheal({"--version"}));
  CHECK(finished.status == 0);
  CHECK(finished.out == "selfheal " SELFHEAL_VERSION "\n");
  CHECK(run(selfheal({"version"})).out.find("selfheal " SELFHEAL_VERSION "\n") == 0);
}

}  // namespace
}  // namespace selfheal::cli::test
