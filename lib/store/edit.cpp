#include "lib/store/edit.h"

#include <algorithm>
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/base/raw_syscall.h"
#include "lib/store/catalog_file.h"
#include "lib/store/clock.h"
#include "lib/store/files.h"

namespace selfheal::store {
namespace {

constexpr const char* new_name = "catalog.new";
constexpr u64 image_size = catalog_size(max_catalog_entries);

// The very directory that was opened at start-up, and still ours: a path means something else after
// chroot, and a process means somebody else after setuid.
long open_own_directory(const Store& store) {
  Descriptor directory(open_at(AT_FDCWD, store.path, O_RDONLY | O_DIRECTORY));
  FileStatus status = {};
  if (!directory.open()) {
    return directory.result();
  }
  if (const long result = status_of(directory.get(), status); result < 0) {
    return result;
  }
  if (status.device != store.directory_device || status.inode != store.directory_inode ||
      status.owner != effective_user()) {
    return -EPERM;
  }
  return directory.release();
}

}  // namespace

EditBegin CatalogEditor::begin(Store& store, Error& error) {
  end();
  if (!store.owner) {
    error.begin() << store.path << ": only its owner may change it; run this as that user";
    return EditBegin::not_owner;
  }
  if (!may_write(history_limit)) {
    error.begin() << store.path << ": the file size limit (ulimit -f) is too small to write to it";
    return EditBegin::failed;
  }
  const long directory = open_own_directory(store);
  if (directory < 0) {
    error.begin() << store.path << ": it cannot be changed from here (" << reason_of(directory)
                  << ")";
    return EditBegin::not_owner;
  }
  directory_ = static_cast<int>(directory);
  const long lock = open_at(directory_, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (lock < 0) {
    error.begin() << store.path << "/" << lock_name << ": " << reason_of(lock);
    end();
    return EditBegin::failed;
  }
  lock_ = static_cast<int>(lock);
  if (raw_syscall(SYS_flock, static_cast<u64>(lock_), LOCK_EX | LOCK_NB) != 0) {
    Descriptor(lock_).close();  // not ours to unlock
    lock_ = -1;
    error.begin() << store.path << ": another process is changing it; try again";
    end();
    return EditBegin::busy;
  }
  store_ = &store;
  if (!load(error)) {
    end();
    return EditBegin::failed;
  }
  return EditBegin::ready;
}

bool CatalogEditor::load(Error& error) {
  buffer_ = static_cast<u8*>(map_memory(image_size));
  if (buffer_ == nullptr) {
    error.begin() << store_->path << ": no memory to read the catalog into";
    return false;
  }
  entries_ = pointer_to<CatalogEntry>(address_of(buffer_) + header_size);
  generation_ = published_generation();
  const FilePath path(store_->path, catalog_name);
  Descriptor file(open_at(directory_, catalog_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (file.result() == -ENOENT) {
    return true;
  }
  Catalog catalog;
  if (!file.open()) {
    error.begin() << path.c_str() << ": " << reason_of(file.result());
    return false;
  }
  if (!catalog.load(file.get(), path.c_str(), error)) {
    return false;
  }
  const std::span<const CatalogEntry> old = catalog.entries();
  count_ = static_cast<u32>(old.size());
  memcpy(static_cast<void*>(entries_), old.data(), old.size_bytes());
  generation_ = std::max(generation_, catalog.generation());
  catalog.close();
  return true;
}

// Generations must not start anew when somebody removes the catalog: live processes would take the
// next one for an old one.
u64 CatalogEditor::published_generation() const {
  const auto* live = static_cast<const CatalogHeader*>(store_->live);
  return live == nullptr ? 0 : live->generation;
}

CatalogEntry* CatalogEditor::find(u64 id) {
  for (CatalogEntry& entry : entries()) {
    if (entry.id == id) {
      return &entry;
    }
  }
  return nullptr;
}

CatalogEntry* CatalogEditor::find(const ModuleId& module, u64 entry_offset, u64 code_hash) {
  CatalogEntry* const entry = find(entry_id(module, entry_offset, code_hash));
  const bool same = entry != nullptr && entry->module.id == module &&
                    entry->entry_offset == entry_offset && entry->code_hash == code_hash;
  return same ? entry : nullptr;
}

CatalogEntry* CatalogEditor::insert(const CatalogEntry& entry) {
  u32 at = 0;
  while (at < count_ && before(entries_[at], entry)) {
    ++at;
  }
  if (at < count_ && !before(entry, entries_[at])) {
    return &entries_[at];
  }
  if (count_ == max_catalog_entries) {
    return nullptr;
  }
  memmove(static_cast<void*>(&entries_[at + 1]), &entries_[at],
          (count_ - at) * sizeof(CatalogEntry));
  entries_[at] = entry;
  ++count_;
  return &entries_[at];
}

void CatalogEditor::erase(u64 id) {
  CatalogEntry* const entry = find(id);
  if (entry == nullptr) {
    return;
  }
  const u32 at = static_cast<u32>(entry - entries_);
  --count_;
  memmove(static_cast<void*>(entry), entry + 1, (count_ - at) * sizeof(CatalogEntry));
}

void CatalogEditor::seal_image(u64 generation) {
  CatalogHeader& header = *pointer_to<CatalogHeader>(address_of(buffer_));
  header = {};
  header.magic = catalog_magic;
  header.version = format_version;
  header.entry_size = sizeof(CatalogEntry);
  header.generation = generation;
  header.count = count_;
  header.written_ns = realtime_ns();
  header.checksum = catalog_checksum(header, entries_);
}

bool CatalogEditor::commit(EditKind kind, Error& error) {
  const u64 generation = kind == EditKind::regions ? generation_ + 1 : generation_;
  seal_image(generation);
  if (!replace_file(error)) {
    return false;
  }
  generation_ = generation;
  publish();
  return true;
}

void CatalogEditor::republish() {
  seal_image(generation_);
  publish();
}

bool CatalogEditor::replace_file(Error& error) {
  Descriptor file(open_at(directory_, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0640));
  long result = file.open() ? 0 : file.result();
  if (result == 0) {
    result = write_at(file.get(), buffer_, catalog_size(count_), 0);
  }
  if (result == 0) {
    result = sync_file(file.get());
  }
  if (result == 0) {
    result = rename_in(directory_, new_name, catalog_name);
  }
  if (result < 0) {
    unlink_in(directory_, new_name);
    error.begin() << store_->path << "/" << catalog_name << ": it cannot be written ("
                  << reason_of(result) << "); the old one is still in place";
    return false;
  }
  sync_file(directory_);
  return true;
}

// The live file is a copy for those who cannot open the catalog any more; a reader that meets it
// half written sees a wrong checksum and comes back later. Its failure costs them the news only.
void CatalogEditor::publish() {
  Descriptor live(open_at(directory_, live_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK));
  if (live.open()) {
    write_at(live.get(), buffer_, catalog_size(count_), 0);
  }
  store_->journal.set_generation(generation_);
}

void CatalogEditor::end() {
  if (lock_ >= 0) {
    // Said aloud, as a child forked meanwhile holds a duplicate of the descriptor.
    raw_syscall(SYS_flock, static_cast<u64>(lock_), LOCK_UN);
  }
  Descriptor(lock_).close();
  Descriptor(directory_).close();
  unmap_memory(buffer_, image_size);
  store_ = nullptr;
  lock_ = directory_ = -1;
  buffer_ = nullptr;
  entries_ = nullptr;
  count_ = 0;
  generation_ = 0;
}

}  // namespace selfheal::store
