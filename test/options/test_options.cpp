#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "lib/options/options.h"
#include "lib/options/suggest.h"

using namespace selfheal;
using namespace selfheal::options;

namespace {

struct Heard {
  std::vector<std::string> lines;
  Complaints sink() {
    return {[](void* context, const char* line) {
              static_cast<Heard*>(context)->lines.emplace_back(line);
            },
            this};
  }
};

std::string value(const Options& options, OptionId id) {
  char buffer[1024];
  Text text(buffer, sizeof buffer);
  write_value(options, id, text);
  return buffer;
}

std::string settings(const Options& options) {
  char buffer[4096];
  Text text(buffer, sizeof buffer);
  write_settings(options, text);
  return buffer;
}

}  // namespace

TEST_CASE("without settings every option has its default and says so") {
  const Options options;
  CHECK(options.mode == Mode::heal);
  CHECK(options.report == Report::automatic);
  CHECK(options.heals_per_minute == 600);
  CHECK(options.instruction_budget == 0);
  CHECK(options.log_megabytes == 64);
  CHECK_FALSE(options.verbose);
  CHECK(options.region.count == 0);
  for (const OptionInfo& info : table()) {
    CHECK(options.source_of(info.id) == Source::standard);
    CHECK(value(options, info.id) == info.standard);
  }
  CHECK(settings(options).empty());
}

TEST_CASE("settings are read from text, with either spelling of a name, and the later one wins") {
  Options options;
  Heard heard;
  apply(
      "mode=observe:heals-per-minute=7:heals_per_minute=8:verbose:log-megabytes=0x10:report=never",
      Source::environment, options, heard.sink());
  CHECK(heard.lines.empty());
  CHECK(options.mode == Mode::observe);
  CHECK(options.heals_per_minute == 8);
  CHECK(options.verbose);
  CHECK(options.log_megabytes == 16);
  CHECK(options.report == Report::never);
  CHECK(options.source_of(OptionId::mode) == Source::environment);
  CHECK(options.source_of(OptionId::store) == Source::standard);

  CHECK(apply_one("mode", "eager", Source::command_line, options));
  CHECK(options.mode == Mode::eager);
  CHECK(options.source_of(OptionId::mode) == Source::command_line);
}

TEST_CASE("a colon or a backslash in a value is escaped, and survives being written back") {
  Options options;
  apply(R"(store=/a\:b\\c:verbose=yes)", Source::environment, options);
  CHECK(std::string(options.store) == R"(/a:b\c)");
  CHECK(options.verbose);

  Options again;
  Heard heard;
  apply(settings(options), Source::environment, again, heard.sink());
  CHECK(heard.lines.empty());
  CHECK(std::string(again.store) == options.store);
  CHECK(settings(again) == settings(options));
}

TEST_CASE("regions are given by name or offset and add up") {
  Options options;
  Heard heard;
  apply("region=httpd!ap_read_request:region=libstdc++.so.6+0x1f40", Source::environment, options,
        heard.sink());
  CHECK(heard.lines.empty());
  REQUIRE(options.region.count == 2);
  CHECK(std::string(options.region.items[0].module) == "httpd");
  CHECK(std::string(options.region.items[0].function) == "ap_read_request");
  CHECK(std::string(options.region.items[1].module) == "libstdc++.so.6");
  CHECK(options.region.items[1].function[0] == '\0');
  CHECK(options.region.items[1].offset == 0x1f40);
  CHECK(settings(options) == "region=httpd!ap_read_request:region=libstdc++.so.6+0x1f40");

  for (const char* bad : {"httpd", "!f", "httpd!", "httpd+0x", "httpd+12", "+0x12", "httpd+0xzz",
                          "httpd+0x10000000000000000"}) {
    CAPTURE(bad);
    heard.lines.clear();
    CHECK_FALSE(apply_one("region", bad, Source::environment, options, heard.sink()));
    CHECK(heard.lines.size() == 1);
    CHECK(options.region.count == 2);
  }
  for (int i = 2; i < 16; ++i) {
    CHECK(apply_one("region", "m!f", Source::environment, options));
  }
  CHECK_FALSE(apply_one("region", "m!f", Source::environment, options, heard.sink()));
  CHECK(options.region.count == 16);
}

TEST_CASE("an unknown option is reported once, with the nearest known name") {
  Options options;
  Heard heard;
  apply("heal-per-minute=3:mdoe=off:heal-per-minute=4", Source::environment, options, heard.sink());
  REQUIRE(heard.lines.size() == 2);
  CHECK(heard.lines[0] ==
        "SELFHEAL_OPTIONS: unknown option 'heal-per-minute'; the nearest known one is "
        "'heals-per-minute'");
  CHECK(heard.lines[1].find("'mode'") != std::string::npos);
  CHECK(options.mode == Mode::heal);
  CHECK(options.heals_per_minute == 600);
}

TEST_CASE("a bad value is named with what is allowed, and changes nothing") {
  Options options;
  Heard heard;
  apply(
      "mode=haeling:log-megabytes=0:log-megabytes=5000:heals-per-minute=-1:"
      "heals-per-minute=99999999999999999999999:instruction-budget=12k:verbose=maybe",
      Source::environment, options, heard.sink());
  REQUIRE(heard.lines.size() == 7);
  CHECK(heard.lines[0] ==
        "SELFHEAL_OPTIONS: option mode: 'haeling' is not allowed, only off|observe|heal|eager; "
        "keeping 'heal'");
  CHECK(heard.lines[1].find("a number from 1 to 4096; keeping '64'") != std::string::npos);
  CHECK(settings(options).empty());
}

TEST_CASE("text that is no setting at all is survived, and cannot steer a terminal") {
  Options options;
  Heard heard;
  apply(":::=:=x:\x1b[2J=1:mode", Source::environment, options, heard.sink());
  CHECK(heard.lines.size() == 3);
  for (const std::string& line : heard.lines) {
    CHECK(line.find('\x1b') == std::string::npos);
  }
  heard.lines.clear();
  apply("store=" + std::string(5000, 'a') + ":verbose", Source::environment, options, heard.sink());
  CHECK(heard.lines.size() == 1);
  CHECK(options.verbose);
  CHECK(options.store[0] == '\0');
  heard.lines.clear();
  apply("store=" + std::string(600, 'a') + "\\", Source::environment, options, heard.sink());
  CHECK(heard.lines.size() == 1);
}

TEST_CASE("the environment's array is searched for exactly our variable") {
  Options options;
  const char* environment[] = {"SELFHEAL_OPTIONS2=mode=off", "XSELFHEAL_OPTIONS=mode=off",
                               "SELFHEAL_OPTIONS=mode=observe", nullptr};
  apply_environment(environment, options);
  CHECK(options.mode == Mode::observe);
  apply_environment(nullptr, options);
  CHECK(options.mode == Mode::observe);
}

TEST_CASE("edit distance counts swaps as one") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("mode", "mode") == 0);
  CHECK(edit_distance("", "mode") == 4);
  CHECK(edit_distance("mdoe", "mode") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance(std::string(500, 'x'), "") == 63);
}
