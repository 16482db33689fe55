// Flipped bytes, cut files and nonsense in the store: the command names the file and never crashes.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "test/cli/store_fixture.h"

namespace selfheal::cli::test {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Ended by itself, with one of its own statuses and no more than lines of its own on stderr.
void check_survived(const Finished& finished) {
  CHECK((finished.status == 0 || finished.status == 1));
  std::istringstream lines(finished.err);
  for (std::string line; std::getline(lines, line);) {
    CHECK(line.rfind("selfheal: ", 0) == 0);
  }
}

TEST_CASE("flipped bytes in any file of the store are survived") {
  StoreFixture store;
  store.add(crash());
  store.add(heal_of(crash(4)));
  const std::string id = store.only_id();  // promotes: catalog and history are there
  store.add(crash(1));                     // and something waits in the journal
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (const char* name : {"journal", "catalog", "history", "live"}) {
    const std::string path = store.path() + "/" + name;
    const std::string good = contents(path);
    REQUIRE(!good.empty());
    for (int round = 0; round < 12; ++round) {
      std::string bad = good;
      // Headers and the first records matter most: half of the flips go there.
      const size_t reach = round % 2 == 0 ? std::min<size_t>(bad.size(), 8192) : bad.size();
      const size_t at = random() % reach;
      bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
      INFO(name << " at " << at);
      write_file(path, bad, 0600);
      check_survived(store.selfheal({"info", id}));
      check_survived(store.selfheal({"list"}));
      write_file(path, good, 0600);
    }
  }
}

TEST_CASE("a damaged header is named with its file and offset") {
  StoreFixture store;
  store.add(crash());
  store.only_id();
  for (const char* name : {"journal", "catalog"}) {
    const std::string path = store.path() + "/" + name;
    const std::string good = contents(path);
    std::string bad = good;
    bad[0] = 'X';
    write_file(path, bad, 0600);
    const Finished finished = store.selfheal({"list"});
    CHECK(finished.status == 1);
    CHECK(finished.out == "");
    CHECK(finished.err.find(path) != std::string::npos);
    CHECK(finished.err.find("offset 0") != std::string::npos);
    CHECK(finished.err.find('\n') == finished.err.size() - 1);
    write_file(path, good, 0600);
  }
}

TEST_CASE("a damaged record in the history is named and skipped") {
  StoreFixture store;
  store.add(crash(10));
  store.add(crash(5));
  const std::string id = store.only_id();
  const std::string path = store.path() + "/history";
  std::string bad = contents(path);
  REQUIRE(bad.size() == 4096);
  bad[2048 + 100] = static_cast<char>(bad[2048 + 100] ^ 1);
  write_file(path, bad, 0600);
  const Finished finished = store.selfheal({"info", id});
  CHECK(finished.status == 0);
  CHECK(finished.err.find("selfheal: " + path +
                          ": the record at offset 2048 is damaged and was skipped\n") !=
        std::string::npos);
}

TEST_CASE("cut and empty files are survived") {
  StoreFixture store;
  store.add(crash());
  const std::string id = store.only_id();
  for (const char* name : {"journal", "catalog", "history", "live"}) {
    const std::string path = store.path() + "/" + name;
    const std::string good = contents(path);
    for (const size_t size : {size_t{0}, size_t{1}, size_t{4095}, good.size() / 2}) {
      INFO(name << " cut to " << size);
      write_file(path, good.substr(0, size), 0600);
      check_survived(store.selfheal({"info", id}));
      write_file(path, good, 0600);
    }
  }
}

}  // namespace
}  // namespace selfheal::cli::test
