#include <catch2/catch.hpp>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "lib/store/edit.h"
#include "lib/store/history.h"
#include "lib/store/promote.h"
#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

// The catalog as a process that starts now would see it.
std::vector<CatalogEntry> catalog_on_disk(const std::string& path) {
  OpenStore store(path);
  REQUIRE(store.opened);
  const auto entries = store->catalog.entries();
  return {entries.begin(), entries.end()};
}

Promotion promoted(Store& store) {
  Error error;
  const Promotion promotion = promote(store, error);
  CAPTURE(error.c_str());
  REQUIRE((promotion.result == Promoted::done || promotion.result == Promoted::nothing_new));
  return promotion;
}

}  // namespace

TEST_CASE("a fault becomes a catalog entry, its slot free, and the record history") {
  const Folder folder;
  OpenStore store(folder.path());
  const FaultRecord fault = fault_in(0x1000);
  store->journal.record_fault(fault);
  const Promotion promotion = promoted(store.store);
  CHECK(promotion.result == Promoted::done);
  CHECK(promotion.new_entries == 1);
  CHECK(promotion.archived == 1);
  CHECK(views_of(store->journal).free == store->journal.slot_count());
  CHECK(store->journal.generation() == 1);

  const auto entries = catalog_on_disk(folder.path());
  REQUIRE(entries.size() == 1);
  const CatalogEntry& entry = entries[0];
  CHECK(entry.module.id == module_id(7));
  CHECK(std::string(entry.module.name) == "libsample.so");
  CHECK(entry.entry_offset == 0x1000);
  CHECK(entry.code_hash == fault.region.code_hash);
  CHECK(entry.site.offset == 0x1010);
  CHECK(entry.fault_kind == FaultKind::null_access);
  CHECK(entry.enabled == 1);
  CHECK(entry.policy == Policy::heal);
  CHECK(entry.fault_count == 1);
  CHECK(entry.frame_count == 2);
  CHECK(entry.id >> 48 == 0);

  HistoryReader history;
  Error error;
  Slot slot;
  REQUIRE(history.open(folder.path().c_str(), history_name, error));
  REQUIRE(history.next(slot) == SlotView::fault);
  CHECK(slot.fault.region.entry.offset == 0x1000);
  CHECK(history.next(slot) == SlotView::free);
}

// Killed, and waited for by nobody while the test looks at it.
class Child {
 public:
  Child() : pid_(fork()) {
    while (pid_ == 0) {
      pause();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    end();
    waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  void end() {
    kill(pid_, SIGKILL);
    siginfo_t ended{};
    waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT);
  }

 private:
  pid_t pid_;
};

TEST_CASE("an alarm stands as long as its process lives, a zombie does not") {
  const Folder folder;
  OpenStore store(folder.path());
  Child child;
  FaultRecord alarm = fault_in(0x1000, realtime_now());
  alarm.alarm = 1;
  alarm.pid = static_cast<u32>(child.pid());
  Ticket ticket;
  store->journal.record_alarm(alarm, ticket);
  const Promotion early = promoted(store.store);
  CHECK(early.standing == 1);
  CHECK(early.new_entries == 0);
  child.end();
  const Promotion late = promoted(store.store);
  CHECK(late.standing == 0);
  CHECK(late.new_entries == 1);
}

TEST_CASE("promoting again changes nothing") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000));
  promoted(store.store);
  const auto catalog = bytes_of(folder.file("catalog"));
  const auto history = bytes_of(folder.file("history"));
  CHECK(promoted(store.store).result == Promoted::nothing_new);
  CHECK(bytes_of(folder.file("catalog")) == catalog);
  CHECK(bytes_of(folder.file("history")) == history);
}

TEST_CASE("a record that a killed promoter left behind is not counted twice") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000));
  promoted(store.store);
  // As if the promoter had died between replacing the catalog and freeing the slot.
  store->journal.record_fault(fault_in(0x1000));
  const Promotion again = promoted(store.store);
  CHECK(again.new_entries == 0);
  CHECK(again.updated_entries == 0);
  CHECK(catalog_on_disk(folder.path())[0].fault_count == 1);
  CHECK(views_of(store->journal).free == store->journal.slot_count());
}

TEST_CASE("another site in a region updates its entry, and never makes a second one") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000, 10));
  FaultRecord other = fault_in(0x1000, 20);
  other.site.offset = 0x1044;
  other.fault.kind = FaultKind::divide;
  other.fault.signal = SIGFPE;
  store->journal.record_fault(other);
  const Promotion promotion = promoted(store.store);
  CHECK(promotion.new_entries == 1);
  CHECK(promotion.updated_entries == 1);
  const auto entries = catalog_on_disk(folder.path());
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].fault_count == 2);
  CHECK(entries[0].site.offset == 0x1044);
  CHECK(entries[0].fault_kind == FaultKind::divide);
  CHECK(entries[0].first_seen_ns == 10);
  CHECK(entries[0].last_seen_ns == 20);
}

TEST_CASE("a rebuilt binary is not matched, whether its build-id or only its code changed") {
  const Folder folder;
  OpenStore store(folder.path());
  const FaultRecord fault = fault_in(0x1000);
  store->journal.record_fault(fault);
  promoted(store.store);
  OpenStore later(folder.path());
  const Catalog& catalog = later->catalog;
  const u64 hash = fault.region.code_hash;
  CHECK(catalog.find(module_id(7), 0x1000, hash) != nullptr);
  CHECK(catalog.find(module_id(8), 0x1000, hash) == nullptr);
  CHECK(catalog.find(module_id(7), 0x1000, hash + 1) == nullptr);
  CHECK(catalog.find(module_id(7), 0x1001, hash) == nullptr);
  CHECK(catalog.of_module(module_id(8)).empty());
  CHECK(catalog.of_module(ModuleId{}).empty());

  SECTION("and the new build's fault is an entry of its own") {
    FaultRecord rebuilt = fault_in(0x1000);
    rebuilt.region.code_hash = hash + 1;
    later->journal.record_fault(rebuilt);
    promoted(later.store);
    const auto entries = catalog_on_disk(folder.path());
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].id != entries[1].id);
  }
}

TEST_CASE("the catalog is sorted, and the entries of a module are one span of it") {
  const Folder folder;
  OpenStore store(folder.path(), 64);
  for (const u8 module : {9, 3, 7}) {
    for (const u64 entry : {0x3000, 0x1000, 0x2000}) {
      FaultRecord fault = fault_in(entry);
      fault.modules[0].id = module_id(module);
      store->journal.record_fault(fault);
    }
  }
  promoted(store.store);
  OpenStore later(folder.path());
  REQUIRE(later->catalog.entries().size() == 9);
  const auto span = later->catalog.of_module(module_id(7));
  REQUIRE(span.size() == 3);
  CHECK(span[0].entry_offset == 0x1000);
  CHECK(span[1].entry_offset == 0x2000);
  CHECK(span[2].entry_offset == 0x3000);
  CHECK(later->catalog.find(span[1].id) == &span[1]);
}

TEST_CASE("an integrity fault is catalogued with policy stop, and stops a region already healed") {
  CHECK(default_policy(FaultKind::exec_violation) == Policy::stop);
  const Folder folder;
  OpenStore store(folder.path());
  FaultRecord jump = fault_in(0x1000, 20);
  jump.fault.kind = FaultKind::exec_violation;

  SECTION("alone") {
    store->journal.record_fault(jump);
    promoted(store.store);
    CHECK(catalog_on_disk(folder.path())[0].policy == Policy::stop);
  }
  SECTION("after a fault that is healed") {
    store->journal.record_fault(fault_in(0x1000, 10));
    promoted(store.store);
    CHECK(store->journal.generation() == 1);
    store->journal.record_fault(jump);
    promoted(store.store);
    CHECK(catalog_on_disk(folder.path())[0].policy == Policy::stop);
    CHECK(store->journal.generation() == 2);
  }
  SECTION("but not against the user's word") {
    store->journal.record_fault(fault_in(0x1000, 10));
    promoted(store.store);
    Error error;
    CatalogEditor editor;
    REQUIRE(editor.begin(store.store, error) == EditBegin::ready);
    editor.entries()[0].policy_by_user = 1;
    REQUIRE(editor.commit(EditKind::regions, error));
    editor.end();
    store->journal.record_fault(jump);
    promoted(store.store);
    CHECK(catalog_on_disk(folder.path())[0].policy == Policy::heal);
  }
}

TEST_CASE("records that are implausible are archived and make no entry") {
  const Folder folder;
  OpenStore store(folder.path(), 64);
  std::vector<FaultRecord> bad(8, fault_in(0x1000));
  bad[0].region.size = 0;
  bad[1].region.entry.module = 5;  // of one
  bad[2].modules[0].id = {};
  bad[3].fault.kind = FaultKind::other_signal;
  bad[4].fault.signal = SIGKILL;
  bad[5].region.entry.offset = ~u64{0};
  bad[6].region.size = ~u32{0};
  bad[7].fault.kind = static_cast<FaultKind>(200);
  for (const FaultRecord& record : bad) {
    store->journal.record_fault(record);
  }
  const Promotion promotion = promoted(store.store);
  CHECK(promotion.implausible == bad.size());
  CHECK(promotion.new_entries == 0);
  CHECK(promotion.archived == bad.size());
  CHECK(catalog_on_disk(folder.path()).empty());
}

TEST_CASE("a time in the future cannot hide later faults from the counters") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000, ~u64{0}));
  promoted(store.store);
  store->journal.record_fault(fault_in(0x1000, realtime_now()));
  promoted(store.store);
  CHECK(catalog_on_disk(folder.path())[0].fault_count == 2);
}

TEST_CASE("setting the clock back does not stop the counting") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000));
  promoted(store.store);
  Error error;
  CatalogEditor editor;
  REQUIRE(editor.begin(store.store, error) == EditBegin::ready);
  editor.entries()[0].last_seen_ns = realtime_now() + 3600'000'000'000;
  REQUIRE(editor.commit(EditKind::counters, error));
  editor.end();
  store->journal.record_fault(fault_in(0x1000, realtime_now()));
  promoted(store.store);
  CHECK(catalog_on_disk(folder.path())[0].fault_count == 2);
}

TEST_CASE("heals are counted in the catalog without making live processes look again") {
  const Folder folder;
  OpenStore store(folder.path(), 64);
  store->journal.record_fault(fault_in(0x1000));
  promoted(store.store);
  const u64 generation = store->journal.generation();
  for (u64 i = 0; i < 5; ++i) {
    store->journal.record_heal(heal_in(0x1000, 2'000'000'000'000 + i));
  }
  CHECK(promoted(store.store).archived == 5);
  CHECK(catalog_on_disk(folder.path())[0].heal_count == 5);
  CHECK(store->journal.generation() == generation);
  CHECK(store->journal.heals_archived() == 5);
}

TEST_CASE("a live process wants promotion after a fault, or when heals pile up") {
  const Folder folder;
  OpenStore store(folder.path(), 16);
  CHECK_FALSE(wants_promotion(store.store, 0));
  store->journal.record_fault(fault_in(0x1000));
  CHECK(wants_promotion(store.store, 0));
  CHECK_FALSE(wants_promotion(store.store, 1));
  for (int i = 0; i < 7; ++i) {
    store->journal.record_heal(heal_in(0x1000));
  }
  CHECK(wants_promotion(store.store, 1));
}

TEST_CASE("of two promoters at once one does nothing") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000));
  OpenStore other(folder.path());
  Error error;
  CatalogEditor first;
  REQUIRE(first.begin(other.store, error) == EditBegin::ready);
  CHECK(promote(store.store, error).result == Promoted::busy);
  CHECK(views_of(store->journal).faults == 1);
  first.end();
  CHECK(promote(store.store, error).result == Promoted::done);
}

TEST_CASE("a child forked while the lock is held does not keep it") {
  const Folder folder;
  OpenStore store(folder.path());
  Error error;
  CatalogEditor editor;
  REQUIRE(editor.begin(store.store, error) == EditBegin::ready);
  int hold[2];
  REQUIRE(pipe(hold) == 0);
  const pid_t child = fork();
  if (child == 0) {
    close(hold[1]);
    char end;
    [[maybe_unused]] const auto n = read(hold[0], &end, 1);
    _exit(0);
  }
  editor.end();
  CatalogEditor next;
  CHECK(next.begin(store.store, error) == EditBegin::ready);
  close(hold[1]);
  waitpid(child, nullptr, 0);
}

TEST_CASE("many promoters and recorders at once lose nothing and count nothing twice") {
  const Folder folder;
  OpenStore store(folder.path(), 1024);
  constexpr int recorders = 2, promoters = 2, each = 100;
  std::vector<pid_t> children;
  for (int r = 0; r < recorders; ++r) {
    children.push_back(fork());
    if (children.back() == 0) {
      for (int i = 0; i < each; ++i) {
        store->journal.record_fault(fault_in(0x1000 * static_cast<u64>(1 + i % 5), realtime_now()));
      }
      _exit(0);
    }
  }
  for (int p = 0; p < promoters; ++p) {
    children.push_back(fork());
    if (children.back() == 0) {
      for (int i = 0; i < 20; ++i) {
        Error error;
        if (promote(store.store, error).result == Promoted::failed) {
          _exit(1);
        }
      }
      _exit(0);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  promoted(store.store);
  CHECK(catalog_on_disk(folder.path()).size() == 5);
  CHECK(store->journal.dropped_faults() == 0);
  CHECK(bytes_of(folder.file("history")).size() == recorders * each * sizeof(Slot));
}

TEST_CASE("a full catalog takes no more regions, and says so") {
  const Folder folder;
  OpenStore store(folder.path());
  Error error;
  CatalogEditor editor;
  REQUIRE(editor.begin(store.store, error) == EditBegin::ready);
  for (u32 i = 0; i < max_catalog_entries; ++i) {
    REQUIRE(editor.insert(entry_from(fault_in(0x10000 + 16 * i))) != nullptr);
  }
  REQUIRE(editor.commit(EditKind::regions, error));
  editor.end();
  store->journal.record_fault(fault_in(0x1000));
  CHECK(promoted(store.store).catalog_full == 1);
  CHECK(catalog_on_disk(folder.path()).size() == max_catalog_entries);
}

TEST_CASE("the history is rotated before it outgrows its limit") {
  const Folder folder;
  OpenStore store(folder.path());
  std::ofstream(folder.file("history")).close();
  REQUIRE(truncate(folder.file("history").c_str(), static_cast<off_t>(history_limit)) == 0);
  store->journal.record_fault(fault_in(0x1000));
  promoted(store.store);
  CHECK(std::filesystem::file_size(folder.file("history")) == sizeof(Slot));
  CHECK(std::filesystem::file_size(folder.file("history.1")) == history_limit);
}

TEST_CASE("an append to the history that was cut short is written over") {
  const Folder folder;
  OpenStore store(folder.path());
  write_bytes(folder.file("history"), std::vector<u8>(777, 0xee));
  store->journal.record_fault(fault_in(0x1000));
  promoted(store.store);
  HistoryReader history;
  Error error;
  Slot slot;
  REQUIRE(history.open(folder.path().c_str(), history_name, error));
  CHECK(history.next(slot) == SlotView::fault);
}

TEST_CASE("a process whose file size limit forbids it does not promote, and is not killed") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000));
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_FSIZE, &none);
    Error error;
    const Promotion promotion = promote(store.store, error);
    _exit(promotion.result == Promoted::failed && !error.empty() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(views_of(store->journal).faults == 1);
}

TEST_CASE("a damaged catalog stops promotion, and everything stays where it was") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000));
  const std::vector<u8> garbage(8192, 0x5a);
  write_bytes(folder.file("catalog"), garbage);
  Error error;
  CHECK(promote(store.store, error).result == Promoted::failed);
  CHECK(std::string(error.c_str()).find("catalog: at offset 0") != std::string::npos);
  CHECK(bytes_of(folder.file("catalog")) == garbage);
  CHECK(views_of(store->journal).faults == 1);
}
