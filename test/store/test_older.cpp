// Stores from before there were levels: read as they are, and given their tables by their owner.
#include <catch2/catch.hpp>
#include <cstring>

#include "lib/store/checksum.h"
#include "lib/store/history.h"
#include "lib/store/promote.h"
#include "lib/store/slot.h"
#include "lib/store/trials.h"
#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

using Bytes = std::vector<u8>;

// As an older libselfheal sealed it; what follows is what the slot's last record but one left
// there.
void make_older(Slot& slot) {
  if (slot.kind != RecordKind::fault && slot.kind != RecordKind::heal) {
    return;
  }
  const u64 before = slot.kind == RecordKind::fault ? offsetof(FaultRecord, after_heal)
                                                    : offsetof(HealRecord, candidate);
  std::memset(slot.payload + before, 0x5a, slot.payload_size - before);
  slot.payload_size = static_cast<u32>(before);
  seal_slot(slot);
}

void make_slots_older(Bytes& bytes, u64 begin, u64 end) {
  for (u64 at = begin; at < end; at += sizeof(Slot)) {
    Slot slot;
    std::memcpy(&slot, &bytes[at], sizeof slot);
    make_older(slot);
    std::memcpy(&bytes[at], &slot, sizeof slot);
  }
}

void make_journal_older(Bytes& bytes) {
  JournalHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  make_slots_older(bytes, slots_at(header.slot_count), size_without_tables(header.slot_count));
  bytes.resize(size_without_tables(header.slot_count));
  header.tally_count = header.trial_count = 0;
  header.checksum = checksum(&header, offsetof(JournalHeader, checksum));
  std::memcpy(bytes.data(), &header, sizeof header);
}

// A region, its fault in the history, and two records that still wait in the journal.
struct OlderStore {
  Folder folder;

  OlderStore() {
    OpenStore store(folder.path(), 5);
    Error error;
    store->journal.record_fault(fault_in(0x1000));
    REQUIRE(promote(store.store, error).new_entries == 1);
    store->journal.record_fault(fault_in(0x2000));
    store->journal.record_heal(heal_in(0x1000));
    Bytes journal = bytes_of(folder.file("journal"));
    make_journal_older(journal);
    write_bytes(folder.file("journal"), journal);
    Bytes history = bytes_of(folder.file("history"));
    make_slots_older(history, 0, history.size());
    write_bytes(folder.file("history"), history);
  }
};

unsigned records_in_history(const Folder& folder) {
  HistoryReader reader;
  Error error;
  Slot slot;
  unsigned count = 0;
  REQUIRE(reader.open(folder.path().c_str(), history_name, error));
  for (SlotView view = reader.next(slot); view != SlotView::free; view = reader.next(slot)) {
    CHECK((view == SlotView::fault || view == SlotView::heal));
    CHECK(
        (view != SlotView::fault || (slot.fault.after_heal == 0 && slot.fault.level_frames == 0)));
    CHECK((view != SlotView::heal || slot.heal.candidate == 0));
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("an older store's owner adds the tables, and loses nothing") {
  const OlderStore older;
  OpenStore store(older.folder.path());
  REQUIRE(store.opened);
  CHECK(std::filesystem::file_size(older.folder.file("journal")) == journal_size(5));
  REQUIRE(store->journal.trials() != nullptr);
  CHECK(views_of(store->journal).faults == 1);
  CHECK(views_of(store->journal).heals == 1);
  CHECK(store->catalog.entries().size() == 1);

  Error error;
  CHECK(promote(store.store, error).new_entries == 1);
  CHECK(records_in_history(older.folder) == 3);

  TrialTicket ticket{};
  begin_trial(store->journal, {1, realtime_now(), 0, 0, static_cast<u32>(getpid())}, ticket);
  end_trial(store->journal, ticket, TrialEnd::stuck);
  CHECK(any_tally(store->journal));
}

TEST_CASE("a record from before there was evidence is read as one that has none") {
  FaultRecord record = fault_in(0x1000);
  record.evidence[0] = Evidence::own_error;
  Slot slot = {};
  slot.kind = RecordKind::fault;
  slot.fault = record;
  slot.payload_size = offsetof(FaultRecord, evidence);
  seal_slot(slot);
  REQUIRE(check_slot(slot) == SlotView::fault);
  CHECK(slot.fault.evidence[0] == Evidence::unknown);
  slot.payload_size = offsetof(FaultRecord, evidence) + 1;
  seal_slot(slot);
  CHECK(check_slot(slot) == SlotView::damaged);
}

TEST_CASE("an older store is read without being changed") {
  const OlderStore older;
  const Bytes before = bytes_of(older.folder.file("journal"));
  OpenStore store(older.folder.path(), 5, false);
  REQUIRE(store.opened);
  CHECK(views_of(store->journal).faults == 1);
  CHECK(store->journal.trials() == nullptr);
  CHECK(records_in_history(older.folder) == 1);
  CHECK(bytes_of(older.folder.file("journal")) == before);
}

TEST_CASE("who has an older journal mapped goes on recording while its owner adds the tables") {
  const OlderStore older;
  OpenStore running(older.folder.path(), 5, false);
  OpenStore owner(older.folder.path());
  REQUIRE(owner->journal.trials() != nullptr);
  CHECK(running->journal.record_fault(fault_in(0x3000)) == Recorded::yes);
  CHECK(views_of(owner->journal).faults == 2);
}

TEST_CASE("a journal that grew while its header was still the old one is used as it is") {
  const OlderStore older;
  Bytes bytes = bytes_of(older.folder.file("journal"));
  bytes.resize(journal_size(5));
  write_bytes(older.folder.file("journal"), bytes);
  OpenStore reader(older.folder.path(), 5, false);
  CHECK(reader.opened);
  CHECK(reader->journal.trials() == nullptr);
  OpenStore owner(older.folder.path());
  CHECK(owner->journal.trials() != nullptr);
}
