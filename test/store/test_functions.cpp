// What is known of functions: found by module and entry, refused where the file is not what it
// should be, and read again when it was replaced.
#include <catch2/catch.hpp>

#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

void write_functions(const Folder& folder, const std::vector<FunctionEntry>& functions) {
  const std::string path = folder.file(functions_name);
  write_bytes(path + ".new", functions_file(functions));
  REQUIRE(chmod((path + ".new").c_str(), 0640) == 0);
  REQUIRE(rename((path + ".new").c_str(), path.c_str()) == 0);
}

TEST_CASE("a function is found by its module and its entry") {
  const Folder folder;
  FunctionEntry other = function_at(0x2000, 3);
  other.code_hash = 0xfeed;
  write_functions(folder, {function_at(0x1000, 7), other, function_at(0x3000, 9)});
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  const Functions& known = store->functions;
  REQUIRE(known.find(module_id(7), 0x1000, 0x1234) != nullptr);
  CHECK(known.find(module_id(7), 0x1000, 0x1234)->errors[0].value == 7);
  CHECK(known.find(module_id(7), 0x3000, 0)->errors[0].value == 9);
  CHECK(known.find(module_id(7), 0x1001, 0) == nullptr);
  CHECK(known.find(module_id(8), 0x1000, 0) == nullptr);
  CHECK(known.find({}, 0x1000, 0) == nullptr);
  CHECK(known.find(module_id(7), 0x4000, 0) == nullptr);
  // Of a certain code only.
  CHECK(known.find(module_id(7), 0x2000, 0xfeed) != nullptr);
  CHECK(known.find(module_id(7), 0x2000, 0xfeee) == nullptr);
  CHECK(has_learned_error(known, module_id(7), 0x3000));
  CHECK_FALSE(has_learned_error(known, module_id(7), 0x3001));
}

TEST_CASE("without the file nothing is known of any function") {
  const Folder folder;
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  CHECK(store->functions.entries().empty());
  CHECK(store->functions.find(module_id(7), 0x1000, 0) == nullptr);
}

TEST_CASE("a file that was replaced is read again") {
  const Folder folder;
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  write_functions(folder, {function_at(0x1000, 7)});
  Functions newer;
  REQUIRE(load_functions(*store.operator->(), newer));
  CHECK(newer.find(module_id(7), 0x1000, 0) != nullptr);
  newer.close();
  // Somebody else's may be a trap; a damaged one is no news.
  REQUIRE(chmod(folder.file(functions_name).c_str(), 0666) == 0);
  CHECK_FALSE(load_functions(*store.operator->(), newer));
  CHECK(newer.entries().empty());
  write_bytes(folder.file(functions_name), {1, 2, 3});
  CHECK_FALSE(load_functions(*store.operator->(), newer));
}

TEST_CASE("counts and types out of range are brought into it") {
  const Folder folder;
  FunctionEntry strange = function_at(0x1000, 7);
  strange.error_count = 200;
  strange.declared = static_cast<DeclaredType>(77);
  strange.module.name[0] = '\x1b';
  write_functions(folder, {strange});
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  const FunctionEntry* entry = store->functions.find(module_id(7), 0x1000, 0);
  REQUIRE(entry != nullptr);
  CHECK(entry->error_count == max_error_values);
  CHECK(entry->declared == DeclaredType::unknown);
  CHECK(entry->module.name[0] == '?');
}

TEST_CASE("a damaged file of functions is named, and the store is not opened") {
  const std::vector<u8> good = functions_file({function_at(0x1000, 7), function_at(0x2000, 9)});
  const auto refused = [](const std::vector<u8>& bytes) {
    const Folder folder;
    write_bytes(folder.file(functions_name), bytes);
    const OpenStore store(folder.path());
    CHECK_FALSE(store.opened);
    CHECK(std::string(store.error.c_str()).find(folder.file(functions_name) + ": at offset ") == 0);
    CHECK(std::string(store.error.c_str()).find("move it away") != std::string::npos);
  };
  refused({});
  refused({1, 2, 3});
  refused({good.begin(), good.end() - 1});
  for (const size_t at : {size_t{0}, size_t{8}, size_t{12}, size_t{16}, size_t{100}}) {
    std::vector<u8> bad = good;
    bad[at] ^= 0x40;
    refused(bad);
  }
  // The checksum vouches for the bytes, not for who computed it.
  refused(functions_file({function_at(0x2000, 9), function_at(0x1000, 7)}));
  refused(functions_file({function_at(0x1000, 9), function_at(0x1000, 7)}));
}

}  // namespace
