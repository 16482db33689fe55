// Policy rules: what fits, who has the last word, and files that are not what they should be.
#include <catch2/catch.hpp>
#include <cstring>

#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

Rule rule_of(const char* program, const char* module, const char* function,
             RuleMode mode = RuleMode::stop) {
  Rule rule{};
  std::strcpy(rule.program, program);
  std::strcpy(rule.module, module);
  std::strcpy(rule.function, function);
  rule.mode = mode;
  return rule;
}

bool fits_function(const char* pattern, const char* function) {
  const ModuleId id{};
  return fits(rule_of("", "", pattern), {"server", "lib.so", function, id});
}

RuleMode built_in_mode(const char* module, const char* function) {
  const ModuleId id{};
  Decision decision;
  decide(built_in_rules(), {"server", module, function, id}, decision);
  return decision.mode;
}

std::string file_of(const std::vector<Rule>& rules) {
  RuleHeader header{};
  header.magic = rules_magic;
  header.version = rules_version;
  header.rule_size = sizeof(Rule);
  header.count = static_cast<u32>(rules.size());
  header.checksum = rules_checksum(header, rules.data());
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) +
         std::string(reinterpret_cast<const char*>(rules.data()), rules.size() * sizeof(Rule));
}

std::vector<u8> bytes_in(const std::string& text) {
  return {text.begin(), text.end()};
}

TEST_CASE("patterns fit as in a shell, whatever the case") {
  CHECK(fits_function("", "anything"));
  CHECK(fits_function("", ""));
  CHECK(fits_function("*", ""));
  CHECK(fits_function("parse", "parse"));
  CHECK(fits_function("PARSE*", "parse_line"));
  CHECK(fits_function("*auth*", "ngx_http_AUTH_basic"));
  CHECK(fits_function("a?c*e", "abcde"));
  CHECK(fits_function("*a*b*c", "xaxbxbxc"));
  CHECK_FALSE(fits_function("parse", "parse_line"));
  CHECK_FALSE(fits_function("parse_line", "parse"));
  CHECK_FALSE(fits_function("*a*b*c", "xaxbxbx"));
  CHECK_FALSE(fits_function("?", ""));
  CHECK_FALSE(fits_function("auth", ""));
}

TEST_CASE("a pattern of stars takes no time to speak of") {
  std::string stars;
  for (int i = 0; i < 60; ++i) {
    stars += "*a";
  }
  CHECK_FALSE(fits_function(stars.c_str(), std::string(10000, 'b').c_str()));
}

TEST_CASE("program, module and build-id must all fit") {
  ModuleId id{};
  id.size = 4;
  std::memcpy(id.bytes, "\x4f\x2a\x90\xc1", 4);
  const RuleSubject subject{"httpd", "mod_x.so", "handler", id};
  CHECK(fits(rule_of("httpd", "mod_*", "hand*"), subject));
  CHECK_FALSE(fits(rule_of("nginx", "mod_*", "hand*"), subject));
  CHECK_FALSE(fits(rule_of("httpd", "libc*", "hand*"), subject));
  Rule by_id = rule_of("", "", "");
  by_id.build_id_size = 2;
  std::memcpy(by_id.build_id, "\x4f\x2a", 2);
  CHECK(fits(by_id, subject));
  by_id.build_id[1] = 0x2b;
  CHECK_FALSE(fits(by_id, subject));
  by_id.build_id_size = 5;
  CHECK_FALSE(fits(by_id, subject));
}

TEST_CASE("the last rule that speaks of a setting decides it") {
  const ModuleId id{};
  std::vector<Rule> rules = {
      rule_of("", "", "", RuleMode::observe), rule_of("", "", "parse*", RuleMode::unset),
      rule_of("", "", "parse_*", RuleMode::heal), rule_of("", "", "other", RuleMode::stop)};
  rules[1].value_set = 1;
  rules[1].value = ~u64{0};
  rules[2].percent_set = 1;
  rules[2].percent = 25;
  Decision decision;
  decide(rules, {"server", "lib.so", "parse_line", id}, decision);
  CHECK(decision.mode == RuleMode::heal);
  CHECK(decision.value_set);
  CHECK(decision.value == ~u64{0});
  CHECK(decision.percent == 25);
  CHECK_FALSE(decision.error_set);
}

TEST_CASE("what decides about access is healed with a known value only") {
  CHECK(built_in_mode("sshd", "mm_auth_password") == RuleMode::known_value);
  CHECK(built_in_mode("httpd", "check_password") == RuleMode::known_value);
  CHECK(built_in_mode("libx.so", "X509_verify_cert") == RuleMode::known_value);
  CHECK(built_in_mode("pam_unix.so", "") == RuleMode::known_value);
  CHECK(built_in_mode("libnss_files.so.2", "any") == RuleMode::known_value);
  CHECK(built_in_mode("libcrypto.so.3", "EVP_DigestUpdate") == RuleMode::known_value);
  CHECK(built_in_mode("mod_cgi.so", "cgi_handler") == RuleMode::heal);
  CHECK(built_in_mode("libc.so.6", "") == RuleMode::heal);
}

TEST_CASE("rules are read with the store") {
  const Folder folder;
  write_bytes(folder.file(rules_name),
              bytes_in(file_of({rule_of("a", "b", "c"), rule_of("d", "e", "f")})));
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  REQUIRE(store->rules.list().size() == 2);
  CHECK(std::string(store->rules.list()[1].module) == "e");
}

TEST_CASE("damaged rules are named, and nothing is healed by other rules than wanted") {
  const std::string good = file_of({rule_of("a", "b", "c")});
  const auto refused = [](std::string bytes) {
    const Folder folder;
    write_bytes(folder.file(rules_name), bytes_in(bytes));
    const OpenStore store(folder.path());
    CHECK_FALSE(store.opened);
    CHECK(std::string(store.error.c_str()).find(folder.file(rules_name) + ": at offset ") == 0);
    CHECK(std::string(store.error.c_str()).find("`selfheal policy apply` writes it anew") !=
          std::string::npos);
  };
  refused("");
  refused("short");
  refused(good.substr(0, good.size() - 1));
  for (const size_t at : {size_t{0}, size_t{8}, size_t{12}, size_t{16}, size_t{100}}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    refused(bad);
  }
}

}  // namespace
