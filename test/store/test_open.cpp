#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <thread>

#include "lib/store/location.h"
#include "lib/store/promote.h"
#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;
using namespace selfheal::store::test;

namespace {

constexpr uid_t nobody = 65534, somebody = 65533;

// What the opener says about a store; "" when it opens.
std::string refusal(const std::string& path) {
  OpenStore store(path);
  return store.opened ? "" : store.error.c_str();
}

bool one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == std::string::npos;
}

// Runs `body` as another user, who may not go back; its answer is the exit status 0.
template <typename Body>
bool as_user(uid_t user, Body body) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(user) != 0 || setuid(user) != 0) {
      _exit(2);
    }
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0;
}

int open_descriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

u32 mode_of(const std::string& path) {
  struct stat status = {};
  return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

}  // namespace

TEST_CASE("an absent store is made, private, with its parents, and nothing stays open") {
  const Folder folder;
  const std::string path = folder.file("a/b");
  const int before = open_descriptors();
  OpenStore store(path);
  REQUIRE(store.opened);
  CHECK(store->owner);
  CHECK(open_descriptors() == before);
  CHECK(mode_of(folder.file("a")) == 0700);
  CHECK(mode_of(path) == 0700);
  CHECK(mode_of(path + "/journal") == 0600);
  CHECK(std::filesystem::file_size(path + "/journal") == journal_size(16));
  unsigned files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    CHECK((entry.path().filename() == "journal" || entry.path().filename() == "live"));
    ++files;
  }
  CHECK(files == 2);
}

TEST_CASE("the journal's blocks are allocated when it is made, so that no store can fail later") {
  const Folder folder;
  OpenStore store(folder.path());
  struct stat status = {};
  REQUIRE(stat(folder.file("journal").c_str(), &status) == 0);
  CHECK(static_cast<u64>(status.st_blocks) * 512 >= journal_size(16));
}

TEST_CASE("without leave to create, an absent store is an empty one") {
  const Folder folder;
  OpenStore store(folder.file("none"), 16, false);
  CHECK(store.opened);
  CHECK_FALSE(store->journal.mapped());
  CHECK(store->catalog.entries().empty());
  CHECK_FALSE(std::filesystem::exists(folder.file("none")));
}

TEST_CASE("processes that start at once agree on one journal") {
  const Folder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(fork());
    if (children.back() == 0) {
      OpenStore store(folder.path(), 64);
      _exit(store.opened && store->journal.record_fault(fault_in(0x1000)) == Recorded::yes ? 0 : 1);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  OpenStore store(folder.path());
  CHECK(views_of(store->journal).faults == 8);
}

TEST_CASE("a temporary file that a killed process left is no obstacle") {
  const Folder folder;
  write_bytes(folder.file(("journal." + std::to_string(getpid()) + ".new").c_str()), {1, 2, 3});
  CHECK(refusal(folder.path()).empty());
}

TEST_CASE("a store that is not a directory is refused in one line") {
  const Folder folder;
  write_bytes(folder.file("plain"), {1, 2, 3});
  const std::string line = refusal(folder.file("plain"));
  CHECK(one_line(line));
  CHECK(line.find(folder.file("plain")) == 0);
  CHECK(line.find("SELFHEAL_STORE") != std::string::npos);
  CHECK(one_line(refusal(folder.file("plain/below"))));
  CHECK(one_line(refusal(folder.file(std::string(2000, 'x').c_str()))));
}

TEST_CASE("files that are no regular files, or that others may change, are refused") {
  const Folder folder;
  { OpenStore make(folder.path()); }
  SECTION("a journal anybody may write") {
    chmod(folder.file("journal").c_str(), 0666);
    CHECK(one_line(refusal(folder.path())));
  }
  SECTION("a catalog the group may write") {
    write_bytes(folder.file("catalog"), std::vector<u8>(header_size));
    chmod(folder.file("catalog").c_str(), 0660);
    CHECK(refusal(folder.path()).find("may write to it") != std::string::npos);
  }
  SECTION("a directory the group may write") {
    chmod(folder.path().c_str(), 0770);
    CHECK(one_line(refusal(folder.path())));
    chmod(folder.path().c_str(), 0700);
  }
  SECTION("a journal that is a link") {
    std::filesystem::rename(folder.file("journal"), folder.file("elsewhere"));
    std::filesystem::create_symlink("elsewhere", folder.file("journal"));
    CHECK(one_line(refusal(folder.path())));
  }
  SECTION("a journal that is a pipe") {
    std::filesystem::remove(folder.file("journal"));
    REQUIRE(mkfifo(folder.file("journal").c_str(), 0600) == 0);
    CHECK(one_line(refusal(folder.path())));
  }
  SECTION("a journal that is a directory") {
    std::filesystem::remove(folder.file("journal"));
    std::filesystem::create_directory(folder.file("journal"));
    CHECK(one_line(refusal(folder.path())));
  }
}

TEST_CASE("a store that belongs to neither root nor us is refused") {
  if (geteuid() != 0) {
    WARN("not root: foreign ownership cannot be made");
    return;
  }
  const Folder folder;
  { OpenStore make(folder.path()); }
  SECTION("the directory") {
    REQUIRE(chown(folder.path().c_str(), nobody, nobody) == 0);
    const std::string line = refusal(folder.path());
    CHECK(line.find("belongs to user 65534") != std::string::npos);
    CHECK(as_user(somebody, [&] { return !refusal(folder.path()).empty(); }));
  }
  SECTION("the journal") {
    REQUIRE(chown(folder.file("journal").c_str(), nobody, nobody) == 0);
    CHECK(refusal(folder.path()).find("belongs to user 65534") != std::string::npos);
  }
}

TEST_CASE("root's store is append-only for a group that may write its journal") {
  if (geteuid() != 0) {
    WARN("not root");
    return;
  }
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000));
  Error ignored;
  promote(store.store, ignored);
  CHECK(as_user(nobody, [&] { return !refusal(folder.path()).empty(); }));

  for (const char* name : {"", "/journal", "/catalog", "/live"}) {
    REQUIRE(chown((folder.path() + name).c_str(), 0, nobody) == 0);
  }
  chmod(folder.path().c_str(), 0750);
  chmod(folder.file("journal").c_str(), 0660);
  CHECK(as_user(nobody, [&] {
    OpenStore worker(folder.path());
    Error error;
    return worker.opened && !worker->owner && worker->catalog.entries().size() == 1 &&
           worker->journal.record_fault(fault_in(0x2000)) == Recorded::yes &&
           promote(worker.store, error).result == Promoted::not_owner;
  }));
  CHECK(views_of(store->journal).faults == 1);
}

TEST_CASE("a worker that gave up root still records, and cannot promote") {
  if (geteuid() != 0) {
    WARN("not root");
    return;
  }
  const Folder folder;
  OpenStore store(folder.path());
  CHECK(as_user(nobody, [&] {
    Error error;
    return store->journal.record_fault(fault_in(0x1000)) == Recorded::yes &&
           promote(store.store, error).result == Promoted::not_owner;
  }));
  CHECK(views_of(store->journal).faults == 1);
}

TEST_CASE("a directory that took the store's path is not promoted into") {
  const Folder folder;
  OpenStore store(folder.file("s"));
  REQUIRE(store.opened);
  store->journal.record_fault(fault_in(0x1000));
  std::filesystem::rename(folder.file("s"), folder.file("moved"));
  { OpenStore other(folder.file("s")); }
  Error error;
  CHECK(promote(store.store, error).result == Promoted::not_owner);
  CHECK_FALSE(std::filesystem::exists(folder.file("s/catalog")));
}

TEST_CASE(
    "a live process sees a new catalog through its inherited mapping, even without its files") {
  const Folder folder;
  OpenStore worker(folder.path());
  REQUIRE(worker.opened);
  Catalog newer;
  CHECK_FALSE(catalog_is_stale(worker.store));
  CHECK_FALSE(load_newer_catalog(worker.store, newer));
  {
    OpenStore crashed(folder.path());
    crashed->journal.record_fault(fault_in(0x1000));
    Error error;
    REQUIRE(promote(crashed.store, error).result == Promoted::done);
  }
  CHECK(catalog_is_stale(worker.store));
  auto sees_it = [&] {
    Catalog seen;
    return load_newer_catalog(worker.store, seen) && seen.entries().size() == 1 &&
           seen.generation() == worker->journal.generation();
  };
  CHECK(sees_it());
  if (geteuid() == 0) {
    CHECK(as_user(nobody, sees_it));
  }
  REQUIRE(load_newer_catalog(worker.store, newer));
  worker->catalog.close();
  worker->catalog = std::move(newer);
  CHECK_FALSE(catalog_is_stale(worker.store));
  CHECK_FALSE(load_newer_catalog(worker.store, newer));
}

TEST_CASE("a generation forged by a worker brings no catalog") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.set_generation(77);
  Catalog newer;
  CHECK(catalog_is_stale(store.store));
  CHECK_FALSE(load_newer_catalog(store.store, newer));
  Error error;
  promote(store.store, error);
  CHECK_FALSE(catalog_is_stale(store.store));
}

TEST_CASE("removing the catalog forgets its regions, and generations go on") {
  const Folder folder;
  {
    OpenStore store(folder.path());
    store->journal.record_fault(fault_in(0x1000));
    Error error;
    promote(store.store, error);
  }
  std::filesystem::remove(folder.file("catalog"));
  OpenStore store(folder.path());
  REQUIRE(store.opened);
  Catalog newer;
  CHECK_FALSE(load_newer_catalog(store.store, newer));
  store->journal.record_fault(fault_in(0x2000));
  Error error;
  promote(store.store, error);
  REQUIRE(load_newer_catalog(store.store, newer));
  CHECK(newer.generation() == 2);
  REQUIRE(newer.entries().size() == 1);
  CHECK(newer.entries()[0].entry_offset == 0x2000);
  newer.close();
}

TEST_CASE("a live file that is being written is not believed") {
  const Folder folder;
  OpenStore store(folder.path());
  store->journal.record_fault(fault_in(0x1000));
  Error error;
  promote(store.store, error);
  OpenStore reader(folder.path());
  reader->catalog.close();
  std::fstream live(folder.file("live"), std::ios::in | std::ios::out | std::ios::binary);
  live.seekp(static_cast<std::streamoff>(header_size) + 100);
  live.put('\x7f');
  live.close();
  Catalog newer;
  CHECK_FALSE(load_newer_catalog(reader.store, newer));
}

TEST_CASE("the place of the store") {
  Location location;
  Error error;
  const bool root = geteuid() == 0;
  const char* all[] = {"SELFHEAL_STORE=/s", "XDG_STATE_HOME=/x", "HOME=/h", nullptr};
  const char* xdg[] = {"XDG_STATE_HOME=/x", "HOME=/h", nullptr};
  const char* home[] = {"XDG_STATE_HOME=relative", "HOME=/h", nullptr};
  const char* none[] = {"SELFHEAL_STORE=", "SELFHEAL_STORES=/t", nullptr};

  REQUIRE(locate(all, "/option", location, error));
  CHECK(std::string(location.path) == "/s");
  REQUIRE(locate(xdg, "/option", location, error));
  CHECK(std::string(location.path) == "/option");
  const char* relative[] = {"SELFHEAL_STORE=here", nullptr};
  REQUIRE(locate(relative, "", location, error));
  CHECK(location.path == std::filesystem::current_path().string() + "/here");
  if (root) {
    REQUIRE(locate(xdg, "", location, error));
    CHECK(std::string(location.path) == "/var/lib/selfheal");
  }
  const std::string too_long = "SELFHEAL_STORE=/" + std::string(3000, 'x');
  const char* long_path[] = {too_long.c_str(), nullptr};
  CHECK_FALSE(locate(long_path, "", location, error));
  CHECK(one_line(error.c_str()));

  auto as_worker = [&] {
    return locate(xdg, nullptr, location, error) && std::string(location.path) == "/x/selfheal" &&
           locate(home, nullptr, location, error) &&
           std::string(location.path) == "/h/.local/state/selfheal" &&
           !locate(none, nullptr, location, error) && one_line(error.c_str());
  };
  CHECK((root ? as_user(nobody, as_worker) : as_worker()));
}
