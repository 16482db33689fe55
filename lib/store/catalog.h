// The catalog: the trusted list of regions, as one checked, private, read-only copy.
//
// A copy and not a mapping of the file: what was validated cannot change afterwards, and a file
// that shrinks cannot raise SIGBUS. Children inherit it. Entries are sorted by (module id, entry
// offset, code hash), so the entries of a module are one span.
//
// Lookups: any thread, signal handlers included, no system call. Loading and closing: one thread.
#pragma once

#include <span>

#include "lib/base/module_id.h"
#include "lib/base/record.h"
#include "lib/base/text.h"
#include "lib/base/types.h"
#include "lib/store/error.h"
#include "lib/store/files.h"
#include "lib/store/format.h"

namespace selfheal::store {

class Catalog {
 public:
  // Reads the catalog from `fd` (from its start; the descriptor stays the caller's). Refuses
  // anything that is not whole and valid, with a line in `error`; the catalog is then empty.
  bool load(int fd, const char* name, Error& error);

  // The same from memory that may change under our hands (the live file's mapping).
  bool load(const void* memory, u64 size, const char* name, Error& error);

  void close() { copy_.release(); }

  u64 generation() const { return copy_.empty() ? 0 : header().generation; }
  std::span<const CatalogEntry> entries() const;

  // The entries of one module, sorted by entry offset; empty for a module without an id.
  std::span<const CatalogEntry> of_module(const ModuleId& module) const;

  // The entry of exactly this build of this function; nullptr if there is none.
  const CatalogEntry* find(const ModuleId& module, u64 entry_offset, u64 code_hash) const;
  const CatalogEntry* find(u64 id) const;

 private:
  bool accept(u64 size, const char* name, Error& error);
  const CatalogHeader& header() const {
    return *pointer_to<const CatalogHeader>(address_of(copy_.data()));
  }

  Pages copy_;
};

// Order and identity of entries. order_of: negative, 0 or positive.
int order_of(const ModuleId& a, const ModuleId& b);
bool before(const CatalogEntry& a, const CatalogEntry& b);
u64 entry_id(const ModuleId& module, u64 entry_offset, u64 code_hash);

inline constexpr unsigned id_digits = 12;
inline Text& write_id(Text& out, u64 id) {
  return out.hex(id, id_digits);
}

// The entry a plausible fault makes when its region has none yet.
CatalogEntry entry_from(const FaultRecord& record);
// The policy a kind of fault has as long as the user set none (DESIGN.md, invariant 7).
Policy default_policy(FaultKind kind);
// The remedies (Remedy bits) a kind of fault begins with as long as the user set none.
u8 default_remedies(FaultKind kind, const FaultDetail& detail);
const char* name_of(Policy policy);

}  // namespace selfheal::store
