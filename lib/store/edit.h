// Changing the catalog: load, edit in memory, replace the file as a whole. Held by the promoter and
// by the CLI's enable, disable, forget and policy commands.
//
//   CatalogEditor editor;
//   if (editor.begin(store, error) == EditBegin::ready) {
//     editor.find(id)->enabled = 0;
//     editor.commit(EditKind::regions, error);
//   }
//   editor.end();
//
// One thread; raw system calls, no malloc. Between `begin` and `end` it holds the store's lock
// (taken without waiting) and three descriptors.
#pragma once

#include <span>

#include "lib/base/types.h"
#include "lib/store/catalog.h"
#include "lib/store/error.h"
#include "lib/store/open.h"

namespace selfheal::store {

enum class EditBegin : u8 { ready, busy, not_owner, failed };

// What changed: `regions` makes live processes look again, `counters` does not.
enum class EditKind : u8 { regions, counters };

class CatalogEditor {
 public:
  CatalogEditor() = default;
  CatalogEditor(const CatalogEditor&) = delete;
  CatalogEditor& operator=(const CatalogEditor&) = delete;
  ~CatalogEditor() { end(); }

  EditBegin begin(Store& store, Error& error);

  std::span<CatalogEntry> entries() { return {entries_, count_}; }
  CatalogEntry* find(u64 id);
  CatalogEntry* find(const ModuleId& module, u64 entry_offset, u64 code_hash);

  // Adds a copy, or answers nullptr when max_catalog_entries are there. One region has one entry:
  // adding a second one answers the first. Pointers to entries are dead after an insert or erase.
  CatalogEntry* insert(const CatalogEntry& entry);
  void erase(u64 id);

  // Writes, syncs and renames; publishes to live processes. False, with a line in `error`, and the
  // old catalog still in place.
  bool commit(EditKind kind, Error& error);

  // Brings the live file and the journal's generation up to the catalog, where a promoter was
  // killed between the two.
  void republish();

  // Gives the lock back; without a commit nothing happened.
  void end();

  int directory() const { return directory_; }

 private:
  bool load(Error& error);
  u64 published_generation() const;
  void seal_image(u64 generation);
  bool replace_file(Error& error);
  void publish();

  Store* store_ = nullptr;
  int directory_ = -1;
  int lock_ = -1;
  u8* buffer_ = nullptr;  // a catalog file's image: header, then room for max_catalog_entries
  CatalogEntry* entries_ = nullptr;
  u32 count_ = 0;
  u64 generation_ = 0;
};

}  // namespace selfheal::store
