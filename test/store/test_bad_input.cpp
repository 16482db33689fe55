// Every way a store's file can be wrong: the opener either opens it safely or says in one line what
// is wrong, and in both cases changes nothing on disk.
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "lib/store/checksum.h"
#include "lib/store/history.h"
#include "lib/store/promote.h"
#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

using Bytes = std::vector<u8>;

// A small store with two regions, a sealed fault and a sealed heal.
struct SmallStore {
  Folder folder;
  Bytes journal, catalog;

  SmallStore() {
    OpenStore store(folder.path(), min_slot_count);
    store->journal.record_fault(fault_in(0x1000));
    store->journal.record_fault(fault_in(0x2000));
    Error error;
    REQUIRE(promote(store.store, error).new_entries == 2);
    store->journal.record_fault(fault_in(0x3000));
    store->journal.record_heal(heal_in(0x1000));
    journal = bytes_of(folder.file("journal"));
    catalog = bytes_of(folder.file("catalog"));
  }
};

struct Outcome {
  bool opened = false;
  std::string line;
  Views views;
  u64 entries = 0;
};

// Opens as a server would and uses everything once.
Outcome open_and_use(const std::string& path) {
  Outcome outcome;
  OpenStore store(path);
  outcome.opened = store.opened;
  outcome.line = store.error.c_str();
  if (store.opened) {
    outcome.views = views_of(store->journal);
    outcome.entries = store->catalog.entries().size();
    store->catalog.find(module_id(7), 0x1000, 0);
  }
  return outcome;
}

void check_refused(const Outcome& outcome, const std::string& file) {
  CHECK_FALSE(outcome.opened);
  CHECK(outcome.line.find(file + ": at offset ") == 0);
  CHECK(outcome.line.find('\n') == std::string::npos);
  CHECK(outcome.line.find("move it away") != std::string::npos);
}

// In memory where opening a file each time would take minutes under the sanitizer.
Outcome attach_and_use(const Bytes& bytes) {
  std::vector<u64> memory(bytes.size() / 8 + 1);
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<u8*>(memory.data()));
  Journal journal;
  Error error;
  Outcome outcome;
  outcome.opened = journal.attach(memory.data(), bytes.size(), true, "journal", error);
  outcome.line = error.c_str();
  if (outcome.opened) {
    outcome.views = views_of(journal);
  }
  return outcome;
}

bool load_catalog(const Bytes& bytes, std::string& line) {
  Catalog catalog;
  Error error;
  const bool loaded = catalog.load(bytes.data(), bytes.size(), "catalog", error);
  catalog.close();
  line = error.c_str();
  return loaded;
}

}  // namespace

TEST_CASE("every single-byte flip of a journal is refused or read safely") {
  const SmallStore small;
  const Views good = attach_and_use(small.journal).views;
  REQUIRE(good.faults == 1);
  REQUIRE(good.heals == 1);
  const u64 slots = slots_at(min_slot_count);
  for (u64 at = 0; at < small.journal.size(); ++at) {
    Bytes bytes = small.journal;
    bytes[at] ^= static_cast<u8>(1 + at % 255);
    const Outcome outcome = attach_and_use(bytes);
    if (at < 64) {
      REQUIRE_FALSE(outcome.opened);
      REQUIRE(outcome.line.find("journal: at offset ") == 0);
      continue;
    }
    REQUIRE(outcome.opened);
    const Views& seen = outcome.views;
    REQUIRE(seen.faults + seen.heals <= good.faults + good.heals);
    if (at >= slots) {
      // Only the slot that was hit may be lost, and a record is never made up.
      REQUIRE(seen.faults + seen.heals + seen.damaged == good.faults + good.heals);
      REQUIRE(seen.damaged <= 1);
    }
  }
}

TEST_CASE("a flip in a sealed payload is always found") {
  const SmallStore small;
  const u64 slots = slots_at(min_slot_count);
  for (u32 slot = 0; slot < min_slot_count; ++slot) {
    Journal journal;
    Error error;
    Bytes bytes = small.journal;
    std::vector<u64> memory(bytes.size() / 8 + 1);
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<u8*>(memory.data()));
    REQUIRE(journal.attach(memory.data(), bytes.size(), false, "journal", error));
    Slot copy;
    const SlotView view = journal.read(slot, copy);
    if (view != SlotView::fault && view != SlotView::heal) {
      continue;
    }
    auto* raw = reinterpret_cast<u8*>(memory.data()) + slots + u64{slot} * slot_size;
    for (u32 at = offsetof(Slot, fault); at < offsetof(Slot, fault) + copy.payload_size; ++at) {
      raw[at] ^= 0x10;
      REQUIRE(journal.read(slot, copy) == SlotView::damaged);
      raw[at] ^= 0x10;
    }
  }
}

TEST_CASE("a journal cut at any length is refused by file and offset") {
  const SmallStore small;
  for (u64 size = 0; size < small.journal.size(); size += size < 256 ? 1 : 61) {
    const Outcome outcome =
        attach_and_use({small.journal.begin(), small.journal.begin() + static_cast<i64>(size)});
    REQUIRE_FALSE(outcome.opened);
    REQUIRE(outcome.line.find("journal: at offset ") == 0);
  }
  for (const u64 size : {u64{0}, u64{1}, header_size - 1, header_size, header_size + 1,
                         small.journal.size() - 1, small.journal.size() + 1}) {
    Bytes bytes = small.journal;
    bytes.resize(size);
    write_bytes(small.folder.file("journal"), bytes);
    check_refused(open_and_use(small.folder.path()), small.folder.file("journal"));
    CHECK(bytes_of(small.folder.file("journal")) == bytes);
  }
}

TEST_CASE("every single-byte flip of a catalog is refused, but for bytes nobody reads") {
  const SmallStore small;
  std::string line;
  REQUIRE(load_catalog(small.catalog, line));
  for (u64 at = 0; at < small.catalog.size(); ++at) {
    Bytes bytes = small.catalog;
    bytes[at] ^= static_cast<u8>(1 + at % 255);
    const bool loaded = load_catalog(bytes, line);
    const bool read = at < 64 || at >= header_size;
    REQUIRE(loaded == !read);
    if (!loaded) {
      REQUIRE(line.find("catalog: at offset ") == 0);
    }
  }
}

TEST_CASE("a catalog cut at any length is refused by file and offset") {
  const SmallStore small;
  for (u64 size = 0; size < small.catalog.size(); size += size < 256 ? 1 : 61) {
    std::string line;
    REQUIRE_FALSE(load_catalog(
        {small.catalog.begin(), small.catalog.begin() + static_cast<i64>(size)}, line));
    REQUIRE(line.find("catalog: at offset ") == 0);
  }
  for (const u64 size : {u64{0}, u64{1}, header_size, small.catalog.size() - 1,
                         small.catalog.size() + 1, small.catalog.size() + slot_size}) {
    Bytes bytes = small.catalog;
    bytes.resize(size);
    write_bytes(small.folder.file("catalog"), bytes);
    check_refused(open_and_use(small.folder.path()), small.folder.file("catalog"));
    CHECK(bytes_of(small.folder.file("catalog")) == bytes);
  }
}

TEST_CASE("other versions are named, and nothing on disk is changed") {
  const SmallStore small;
  for (const char* name : {"journal", "catalog"}) {
    for (const u8 version : {0, int{format_version} + 1, 255}) {
      Bytes bytes = std::string(name) == "journal" ? small.journal : small.catalog;
      const Bytes good = bytes;
      bytes[8] = version;
      write_bytes(small.folder.file(name), bytes);
      const Outcome outcome = open_and_use(small.folder.path());
      check_refused(outcome, small.folder.file(name));
      CHECK(outcome.line.find("version " + std::to_string(version)) != std::string::npos);
      CHECK(bytes_of(small.folder.file(name)) == bytes);
      write_bytes(small.folder.file(name), good);
    }
  }
}

TEST_CASE("random bytes are refused as journal, catalog and live file, and skipped as history") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const SmallStore small;
  for (int round = 0; round < 20; ++round) {
    Bytes bytes(round % 2 == 0 ? random() % 20000 : small.journal.size());
    for (u8& byte : bytes) {
      byte = static_cast<u8>(random());
    }
    write_bytes(small.folder.file("journal"), bytes);
    check_refused(open_and_use(small.folder.path()), small.folder.file("journal"));
    write_bytes(small.folder.file("journal"), small.journal);

    write_bytes(small.folder.file("catalog"), bytes);
    check_refused(open_and_use(small.folder.path()), small.folder.file("catalog"));
    write_bytes(small.folder.file("catalog"), small.catalog);

    write_bytes(small.folder.file("history"), bytes);
    HistoryReader history;
    Error error;
    Slot slot;
    REQUIRE(history.open(small.folder.path().c_str(), history_name, error));
    u64 records = 0;
    while (history.next(slot) != SlotView::free) {
      ++records;
    }
    CHECK(records == bytes.size() / sizeof(Slot));
  }
  const Bytes live = bytes_of(small.folder.file("live"));
  write_bytes(small.folder.file("live"), Bytes(100));
  const Outcome outcome = open_and_use(small.folder.path());
  CHECK_FALSE(outcome.opened);
  CHECK(outcome.line.find(small.folder.file("live") + ": at offset 100") == 0);
}

TEST_CASE("a journal whose every word and slot is hostile is read, promoted and emptied") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const SmallStore small;
  for (int round = 0; round < 50; ++round) {
    OpenStore store(small.folder.path());
    REQUIRE(store.opened);
    auto* memory = static_cast<u8*>(store->journal.memory());
    for (u64 at = 64; at < store->journal.size(); ++at) {
      // The counters and words too, but every second round with states that exist.
      memory[at] = static_cast<u8>(random());
    }
    for (u32 i = 0; i < store->journal.slot_count(); ++i) {
      memory[header_size + 8 * i] = round % 2 == 0 ? 2 : memory[header_size + 8 * i];
      auto* slot = reinterpret_cast<Slot*>(memory + slots_at(store->journal.slot_count())) + i;
      slot->kind = RecordKind::fault;
      slot->payload_size = sizeof slot->fault;
      slot->checksum = checksum(&slot->kind, sizeof slot->fault + 24);
    }
    views_of(store->journal);
    Error error;
    const Promotion promotion = promote(store.store, error);
    CHECK((promotion.result == Promoted::done || promotion.result == Promoted::nothing_new));
    CHECK(views_of(store->journal).faults == 0);
    Catalog newer;
    load_newer_catalog(store.store, newer);
    newer.close();
  }
  CHECK(open_and_use(small.folder.path()).entries >= 2);
}
