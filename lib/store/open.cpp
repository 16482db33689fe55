#include "lib/store/open.h"

#include <algorithm>
#include <errno.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/raw_syscall.h"
#include "lib/store/clock.h"
#include "lib/store/files.h"
#include "lib/store/location.h"

namespace selfheal::store {
namespace {

constexpr u64 live_file_size = catalog_size(max_catalog_entries);

u64 generation_of(const void* live) {
  return __atomic_load_n(&static_cast<const CatalogHeader*>(live)->generation, __ATOMIC_ACQUIRE);
}

// Opens one store after the other's model: every step leaves a line in `error` when it fails.
class Opener {
 public:
  Opener(const OpenRequest& request, Store& store, Error& error)
      : request_(request), store_(store), error_(error) {}

  bool run() {
    if (!open_directory()) {
      return false;
    }
    if (!directory_.open()) {
      return true;  // absent, and not to be made
    }
    // Live before catalog, as the promoter writes them the other way round: a generation that was
    // live and has no catalog file afterwards belonged to one that somebody removed.
    return open_rules() && open_functions() && open_journal() && open_live() && open_catalog() &&
           open_learning();
  }

 private:
  bool open_directory();
  bool open_journal();
  bool open_catalog();
  bool open_rules();
  bool open_functions();
  bool open_live();
  bool open_learning();

  // Files that only the owner writes.
  template <typename List>
  bool load(const Descriptor& file, const FilePath& path, List& list) {
    FileStatus status = {};
    return trusted(file.get(), path, S_IWGRP | S_IWOTH, status) &&
           list.load(file.get(), path.c_str(), error_);
  }

  template <typename Fill>
  long make_file(const char* final_name, u32 mode, Fill fill);
  long make_journal();
  void add_tables(int journal, FileStatus& status);
  bool trusted(int fd, const FilePath& path, u32 forbidden_mode, FileStatus& status);
  bool refuse(const char* path, const char* what, const char* remedy) {
    error_.begin() << path << ": " << what << "; " << remedy;
    return false;
  }
  bool may_make() const { return request_.create && store_.owner && !request_.read_only; }

  const OpenRequest& request_;
  Store& store_;
  Error& error_;
  Descriptor directory_;
  u64 live_generation_ = 0;
};

bool Opener::open_directory() {
  const char* const path = request_.path;
  if (Text(store_.path, sizeof store_.path).operator<<(path).cut()) {
    return refuse(path, "the path is too long", "set SELFHEAL_STORE to a shorter one");
  }
  directory_.reset(open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
  if (directory_.result() == -ENOENT) {
    if (!request_.create) {
      return true;
    }
    if (!make_directory(path, error_)) {
      return false;
    }
    directory_.reset(open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
  }
  if (!directory_.open()) {
    return refuse(path, reason_of(directory_.result()),
                  "set SELFHEAL_STORE to a directory of your own");
  }
  FileStatus status = {};
  if (const long result = status_of(directory_.get(), status); result < 0) {
    return refuse(path, reason_of(result), "set SELFHEAL_STORE to another directory");
  }
  const u32 user = effective_user();
  if (status.owner != user && status.owner != 0) {
    (error_.begin() << path << ": it belongs to user ").decimal(status.owner)
        << ", neither root nor this process's user; run as that user or set SELFHEAL_STORE to a "
           "directory of your own";
    return false;
  }
  if ((status.mode & (S_IWGRP | S_IWOTH)) != 0) {
    return refuse(path, "other users may write to this directory",
                  "chmod go-w it, or set SELFHEAL_STORE to a directory of your own");
  }
  store_.owner = status.owner == user;
  store_.directory_device = status.device;
  store_.directory_inode = status.inode;
  store_.directory_owner = status.owner;
  return true;
}

// A file of the store counts only if the directory's owner made it and nobody else could change it.
bool Opener::trusted(int fd, const FilePath& path, u32 forbidden_mode, FileStatus& status) {
  if (const long result = status_of(fd, status); result < 0) {
    return refuse(path.c_str(), reason_of(result), "check the file system");
  }
  if (!S_ISREG(status.mode)) {
    return refuse(path.c_str(), "this is not a regular file", "move it away");
  }
  if (status.owner != store_.directory_owner) {
    (error_.begin() << path.c_str() << ": it belongs to user ").decimal(status.owner)
        << " and not to the store's owner; move it away";
    return false;
  }
  if ((status.mode & forbidden_mode) != 0) {
    return refuse(path.c_str(), "users who should not may write to it", "chmod it to 0600 or 0640");
  }
  return true;
}

// A complete file appears under its name at once, or somebody else's does: two starting processes
// always agree on one. `fill` makes the content of the new file, whose mode is `mode`.
template <typename Fill>
long Opener::make_file(const char* final_name, u32 mode, Fill fill) {
  char name[32];
  Text text(name, sizeof name);
  (text << final_name << '.').decimal(static_cast<u64>(raw_syscall(SYS_getpid))) << ".new";
  unlink_in(directory_.get(), name);  // of a process that had our number and died here
  Descriptor file(open_at(directory_.get(), name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  if (!file.open()) {
    return file.result();
  }
  long result = fill(file.get());
  if (result == 0) {
    result = link_in(directory_.get(), name, final_name);
  }
  unlink_in(directory_.get(), name);
  return result == -EEXIST ? 0 : result;
}

long Opener::make_journal() {
  const u64 size = journal_size(request_.slot_count);
  if (!may_write(size)) {
    return -EFBIG;
  }
  return make_file(journal_name, 0600, [&](int file) {
    JournalHeader header = {};
    Journal::format(&header, request_.slot_count, realtime_ns());
    long result = reserve_space(file, size);
    if (result == 0) {
      result = write_at(file, &header, sizeof header, 0);
    }
    return result == 0 ? sync_file(file) : result;
  });
}

// To a journal from before there were trials. The header is written last, and in one call, so that
// whoever opens it meanwhile finds a good one. Where that fails it goes on as it is.
void Opener::add_tables(int journal, FileStatus& status) {
  JournalHeader header = {};
  if (read_at(journal, &header, sizeof header, 0) != static_cast<long>(sizeof header) ||
      !Journal::add_tables(header, status.size) || !may_write(journal_size(header.slot_count))) {
    return;
  }
  constexpr u8 zeros[page_size] = {};
  const u64 end = journal_size(header.slot_count);
  for (u64 at = size_without_tables(header.slot_count); at < end;) {
    const u64 part = std::min(end - at, page_size - at % page_size);
    if (write_at(journal, zeros, part, at) != 0) {
      return;
    }
    at += part;
  }
  if (write_at(journal, &header, offsetof(JournalHeader, next), 0) == 0) {
    status.size = end;
  }
}

bool Opener::open_journal() {
  const FilePath path(store_.path, journal_name);
  const int flags = (request_.read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK;
  Descriptor file(open_at(directory_.get(), journal_name, flags));
  if (file.result() == -ENOENT) {
    if (!may_make()) {
      return !request_.create || request_.read_only ||
             refuse(path.c_str(), "there is none", "start a server as the store's owner first");
    }
    if (const long result = make_journal(); result < 0) {
      return refuse(path.c_str(), reason_of(result),
                    "it cannot be made; free some space there or set SELFHEAL_STORE");
    }
    file.reset(open_at(directory_.get(), journal_name, flags));
  }
  if (!file.open()) {
    return refuse(path.c_str(), reason_of(file.result()),
                  "run as the store's owner, or let your group write to it (mode 0660)");
  }
  FileStatus status = {};
  if (!trusted(file.get(), path, S_IWOTH, status)) {
    return false;
  }
  if (status.size < header_size || status.size > journal_size(max_slot_count)) {
    error_.at(path.c_str(), status.size)
        << "no journal ends here; move it away, and a new one is made";
    return false;
  }
  if (may_make()) {
    add_tables(file.get(), status);
  }
  const int protection = request_.read_only ? PROT_READ : PROT_READ | PROT_WRITE;
  const long memory = raw_syscall(SYS_mmap, 0, status.size, static_cast<u64>(protection),
                                  MAP_SHARED, static_cast<u64>(file.get()), 0);
  if (syscall_failed(memory)) {
    return refuse(path.c_str(), reason_of(memory), "it cannot be mapped");
  }
  void* const mapped = pointer_to<void>(static_cast<u64>(memory));
  if (!store_.journal.attach(mapped, status.size, !request_.read_only, path.c_str(), error_)) {
    unmap_memory(mapped, status.size);
    return false;
  }
  store_.journal.warm();
  return true;
}

bool Opener::open_catalog() {
  const FilePath path(store_.path, catalog_name);
  Descriptor file(open_at(directory_.get(), catalog_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (file.result() == -ENOENT) {
    store_.removed_generation = live_generation_;
    return true;
  }
  if (file.result() == -EACCES && !store_.owner) {
    return true;  // none for us: we only record
  }
  if (!file.open()) {
    return refuse(path.c_str(), reason_of(file.result()), "it cannot be opened");
  }
  return load(file, path, store_.catalog);
}

bool Opener::open_rules() {
  const FilePath path(store_.path, rules_name);
  Descriptor file(open_at(directory_.get(), rules_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (file.result() == -ENOENT) {
    return true;
  }
  if (!file.open()) {
    return refuse(path.c_str(), reason_of(file.result()),
                  "let your group read it (mode 0640): nothing is healed without its rules");
  }
  return load(file, path, store_.rules);
}

bool Opener::open_functions() {
  const FilePath path(store_.path, functions_name);
  Descriptor file(open_at(directory_.get(), functions_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (file.result() == -ENOENT || (file.result() == -EACCES && !store_.owner)) {
    return true;  // nothing is known, or not to us
  }
  if (!file.open()) {
    return refuse(path.c_str(), reason_of(file.result()), "it cannot be opened");
  }
  return load(file, path, store_.functions);
}

bool Opener::open_live() {
  const FilePath path(store_.path, live_name);
  Descriptor file(open_at(directory_.get(), live_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (file.result() == -ENOENT && may_make()) {
    // A hole until there is a catalog.
    make_file(live_name, 0640, [](int made) { return set_size(made, live_file_size); });
    file.reset(open_at(directory_.get(), live_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  }
  if (!file.open()) {
    return true;  // no news while running, then
  }
  FileStatus status = {};
  if (!trusted(file.get(), path, S_IWGRP | S_IWOTH, status)) {
    return false;
  }
  if (status.size != live_file_size) {
    error_.at(path.c_str(), status.size) << "the file should end elsewhere; remove it";
    return false;
  }
  // From a descriptor opened for reading only, so that no heir of the mapping can make it writable.
  const long memory = raw_syscall(SYS_mmap, 0, live_file_size, PROT_READ, MAP_SHARED,
                                  static_cast<u64>(file.get()), 0);
  if (!syscall_failed(memory)) {
    store_.live = pointer_to<void>(static_cast<u64>(memory));
    store_.live_size = live_file_size;
    live_generation_ = generation_of(store_.live);
  }
  return true;
}

// Group members count as well, as they do in the journal (mode 0660).
bool Opener::open_learning() {
  if (!request_.learning) {
    return true;
  }
  const FilePath path(store_.path, learning_name);
  constexpr int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK;
  Descriptor file(open_at(directory_.get(), learning_name, flags));
  if (file.result() == -ENOENT && may_make()) {
    const long result = make_file(learning_name, 0600, [](int made) {
      LearningHeader header;
      Learning::format(header, realtime_ns());
      const long reserved = reserve_space(made, learning_size);
      return reserved == 0 ? write_at(made, &header, sizeof header, 0) : reserved;
    });
    if (result < 0) {
      return refuse(path.c_str(), reason_of(result), "it cannot be made; free some space there");
    }
    file.reset(open_at(directory_.get(), learning_name, flags));
  }
  if (!file.open()) {
    return true;  // nothing is learned by us, then
  }
  FileStatus status = {};
  if (!trusted(file.get(), path, S_IWOTH, status)) {
    return false;
  }
  const long memory = status.size != learning_size
                          ? 0
                          : raw_syscall(SYS_mmap, 0, status.size, PROT_READ | PROT_WRITE,
                                        MAP_SHARED, static_cast<u64>(file.get()), 0);
  if (syscall_failed(memory)) {
    return refuse(path.c_str(), reason_of(memory), "it cannot be mapped");
  }
  void* const mapped = pointer_to<void>(static_cast<u64>(memory));
  if (!store_.learning.attach(mapped, status.size, path.c_str(), error_)) {
    if (memory != 0) {
      unmap_memory(mapped, status.size);
    }
    return false;
  }
  return true;
}

}  // namespace

bool open_store(const OpenRequest& request, Store& store, Error& error) {
  close_store(store);
  if (getauxval(AT_SECURE) != 0) {
    error.begin() << request.path << ": not opened for a setuid or file-capability program";
    return false;
  }
  if (Opener(request, store, error).run()) {
    return true;
  }
  close_store(store);
  return false;
}

void close_store(Store& store) {
  unmap_memory(store.journal.memory(), store.journal.size());
  unmap_memory(store.live, store.live_size);
  if (store.learning.mapped()) {
    unmap_memory(store.learning.memory(), learning_size);
  }
  store.catalog.close();
  store.rules.close();
  store.functions.close();
  store = Store();
}

bool catalog_is_stale(const Store& store) {
  return store.journal.generation() != store.catalog.generation();
}

bool load_newer_catalog(const Store& store, Catalog& out) {
  // The journal's generation is anybody's to write; the live file is the owner's only.
  const u64 known = std::max(store.catalog.generation(), store.removed_generation);
  if (store.live == nullptr || generation_of(store.live) <= known) {
    return false;
  }
  Error ignored;
  return out.load(store.live, store.live_size, live_name, ignored);
}

bool load_functions(const Store& store, Functions& out) {
  Descriptor directory(open_at(AT_FDCWD, store.path, O_RDONLY | O_DIRECTORY));
  FileStatus status = {};
  if (!directory.open() || status_of(directory.get(), status) < 0 ||
      status.device != store.directory_device || status.inode != store.directory_inode) {
    return false;
  }
  Descriptor file(open_at(directory.get(), functions_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (file.result() == -ENOENT) {
    return true;
  }
  Error ignored;
  return file.open() && status_of(file.get(), status) == 0 && S_ISREG(status.mode) &&
         status.owner == store.directory_owner && (status.mode & (S_IWGRP | S_IWOTH)) == 0 &&
         out.load(file.get(), functions_name, ignored);
}

}  // namespace selfheal::store
