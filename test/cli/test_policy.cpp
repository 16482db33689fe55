// selfheal policy: files that are understood, and those that are not.
#include <catch2/catch.hpp>
#include <fstream>

#include "test/cli/store_fixture.h"

namespace selfheal::cli::test {
namespace {

class PolicyFixture : public StoreFixture {
 public:
  std::string write(const std::string& text) const {
    const std::string file = path() + "/policy.toml";
    std::ofstream(file) << text;
    return file;
  }
  std::string refusal(const std::string& text) const {
    const std::string file = write(text);
    const Finished finished = selfheal({"policy", "check", file});
    CHECK(finished.status == 1);
    const std::string front = "selfheal: " + file + ":";
    REQUIRE(finished.err.find(front) == 0);
    return finished.err.substr(front.size());
  }
};

TEST_CASE("policy apply puts rules in force, and show shows them after the built-in ones") {
  PolicyFixture store;
  const std::string file = store.write(
      "program = 'nginx'\n"
      "[[rule]]\n"
      "module = 'ngx_*.so'\nfunction = 'parse*'\nmode = 'observe'\n"
      "[[rule]]\n"
      "program = 'httpd'\nvalue = -1\nerrno = 5\nheal-percent = 10\nlevel = 2\nbuild-id = "
      "'4f2A'\n");
  CHECK(store.selfheal({"policy", "apply", file}).out ==
        "2 rules are in force for programs started from now on\n");
  const Json rules = store.json({"policy", "show"})["rules"];
  REQUIRE(rules.size() > 20);
  CHECK(rules[0]["built_in"] == true);
  const Json last = rules[rules.size() - 1];
  CHECK(last["program"] == "httpd");
  CHECK(last["value"] == -1);
  CHECK(last["errno"] == 5);
  CHECK(last["heal_percent"] == 10);
  CHECK(last["level"] == 2);
  CHECK(last["mode"].is_null());
  const Json first = rules[rules.size() - 2];
  CHECK(first["program"] == "nginx");
  CHECK(first["mode"] == "observe");
  const Json asked = store.json(
      {"policy", "show", "--program", "nginx", "--module", "ngx_x.so", "--function", "parse_it"});
  CHECK(asked["rules"].size() == 1);
  CHECK(asked["decision"] == "observe");

  CHECK(store.selfheal({"policy", "apply", store.write("")}).out ==
        "0 rules are in force for programs started from now on\n");
  CHECK(store.selfheal({"policy", "show", "--module", "x.so"})
            .out.find("no rule fits; together: heal\n") != std::string::npos);
}

TEST_CASE("list and info say what the rules make of a region") {
  PolicyFixture store;
  store.add(crash());
  const std::string id = store.only_id();
  CHECK(store.json({"info", id})["decision"] == "heal");
  store.selfheal({"policy", "apply",
                  store.write("[[rule]]\nmodule = 'cli_crashing_module.so'\n"
                              "mode = 'known-value'\nlevel = 1\n")});
  CHECK(store.selfheal({"list"}).out.find("enabled  known-value\n") != std::string::npos);
  CHECK(store.json({"info", id})["decision"] == "known-value");
  const std::string text = store.selfheal({"info", id}).out;
  INFO(text);
  CHECK(text.find("by rules    known-value, level 1\n") != std::string::npos);
  CHECK(text.find("it is not healed (it may decide about access") != std::string::npos);
  store.selfheal({"set", id, "--value=-1"});
  CHECK(store.selfheal({"info", id}).out.find("it is not healed") == std::string::npos);
}

TEST_CASE("what is wrong in a policy file is said with its line, and the old rules stay") {
  PolicyFixture store;
  store.selfheal({"policy", "apply", store.write("[[rule]]\nmode = 'stop'\n")});
  CHECK(store.refusal("x = 1\n") == "1: 'x' is neither 'program' nor a [[rule]]\n");
  CHECK(store.refusal("[[rule]]\n\ncolour = 'red'\n") == "3: a rule has no 'colour'\n");
  CHECK(store.refusal("[[rule]]\nmode = 'fix'\n")
            .find("2: the mode 'fix' is none of heal, observe, stop, simulate, known-value") == 0);
  CHECK(store.refusal("[[rule]]\nfunction = 7\n") == "2: 'function' has to be a text in quotes\n");
  CHECK(store.refusal("[[rule]]\nheal-percent = 101\n") ==
        "2: 'heal-percent' has to be a number from 0 to 100\n");
  CHECK(store.refusal("[[rule]]\nlevel = 8\n") == "2: 'level' has to be a number from 0 to 7\n");
  CHECK(store.refusal("[[rule]]\nvalue = 1.5\n").find("2: 'value' has to be a number") == 0);
  CHECK(store.refusal("[[rule]]\nbuild-id = 'xyz'\n").find("2: 'build-id' has to be") == 0);
  CHECK(store.refusal("[[rule]]\nprogram = '" + std::string(64, 'p') + "'\n") ==
        "2: 'program' is longer than 63 bytes\n");
  CHECK(store.refusal("[[rule\n").find("1: ") == 0);
  std::string many;
  for (int i = 0; i < 257; ++i) {
    many += "[[rule]]\nmode = 'stop'\n";
  }
  CHECK(store.refusal(many).find("513: more than 256 rules") == 0);
  CHECK(store.selfheal({"policy", "check", store.path() + "/none.toml"}).status == 1);
  const Json rules = store.json({"policy", "show"})["rules"];
  CHECK(rules[rules.size() - 1]["mode"] == "stop");
}

}  // namespace
}  // namespace selfheal::cli::test
