#include "lib/store/catalog.h"

#include <string.h>

#include "lib/store/catalog_file.h"
#include "lib/store/checksum.h"
#include "lib/store/sanitize.h"

namespace selfheal::store {
namespace {

constexpr const char* remedy = "; move it away, and a new one is made from later faults";

u64 used_bytes(const ModuleId& id) {
  return id.size < sizeof id.bytes ? id.size : sizeof id.bytes;
}

bool check_header(const CatalogHeader& header, u64 size, const char* name, Error& error) {
  if (header.magic != catalog_magic) {
    error.at(name, 0) << "this is not a selfheal catalog" << remedy;
    return false;
  }
  if (header.version != format_version) {
    Text& line = error.at(name, offsetof(CatalogHeader, version)) << "format version ";
    line.decimal(header.version) << ", but this libselfheal knows only version ";
    line.decimal(format_version) << remedy;
    return false;
  }
  if (header.entry_size != sizeof(CatalogEntry) || header.count > max_catalog_entries) {
    error.at(name, offsetof(CatalogHeader, entry_size)) << "sizes out of range" << remedy;
    return false;
  }
  if (size < catalog_size(header.count)) {
    (error.at(name, size) << "the file ends early: ").decimal(header.count)
        << " entries were expected" << remedy;
    return false;
  }
  return true;
}

// Makes every entry safe to use. The checksum vouches for the bytes, not for who computed it.
bool check_entries(CatalogEntry* entries, u32 count, const char* name, Error& error) {
  for (u32 i = 0; i < count; ++i) {
    CatalogEntry& entry = entries[i];
    sanitize(entry);
    if (entry.id != entry_id(entry.module.id, entry.entry_offset, entry.code_hash) ||
        (i > 0 && !before(entries[i - 1], entry))) {
      error.at(name, catalog_size(i)) << "the entry is out of place" << remedy;
      return false;
    }
  }
  return true;
}

}  // namespace

int order_of(const ModuleId& a, const ModuleId& b) {
  if (a.kind != b.kind) {
    return a.kind < b.kind ? -1 : 1;
  }
  if (a.size != b.size) {
    return a.size < b.size ? -1 : 1;
  }
  return memcmp(a.bytes, b.bytes, used_bytes(a));
}

bool before(const CatalogEntry& a, const CatalogEntry& b) {
  if (const int by_module = order_of(a.module.id, b.module.id); by_module != 0) {
    return by_module < 0;
  }
  if (a.entry_offset != b.entry_offset) {
    return a.entry_offset < b.entry_offset;
  }
  return a.code_hash < b.code_hash;
}

u64 entry_id(const ModuleId& module, u64 entry_offset, u64 code_hash) {
  const u64 place[2] = {entry_offset, code_hash};
  const u64 of_module = checksum(module.bytes, used_bytes(module), static_cast<u64>(module.kind));
  const u64 hash = checksum(place, sizeof place, of_module);
  const u64 id = hash >> 16;
  return id != 0 ? id : 1;
}

u64 catalog_checksum(const CatalogHeader& header, const CatalogEntry* entries) {
  return checksum(entries, u64{header.count} * sizeof(CatalogEntry),
                  checksum(&header, offsetof(CatalogHeader, checksum)));
}

// Judges the `size` bytes that were copied; closes the catalog when they are none.
bool Catalog::accept(u64 size, const char* name, Error& error) {
  CatalogEntry* const entries = pointer_to<CatalogEntry>(address_of(copy_.data()) + header_size);
  bool good = check_header(header(), size, name, error);
  if (good && size != catalog_size(header().count)) {
    (error.at(name, size) << "the file should end at ").decimal(catalog_size(header().count))
        << remedy;
    good = false;
  }
  if (good && header().checksum != catalog_checksum(header(), entries)) {
    error.at(name, offsetof(CatalogHeader, checksum)) << "the checksum is wrong" << remedy;
    good = false;
  }
  if (!good || !check_entries(entries, header().count, name, error)) {
    close();
    return false;
  }
  copy_.forbid_writes();
  return true;
}

bool Catalog::load(int fd, const char* name, Error& error) {
  close();
  FileStatus status = {};
  if (const long result = status_of(fd, status); result < 0) {
    error.begin() << name << ": " << reason_of(result);
    return false;
  }
  if (status.size < header_size || status.size > catalog_size(max_catalog_entries)) {
    error.at(name, status.size) << "no catalog ends here" << remedy;
    return false;
  }
  if (!copy_.reserve(status.size)) {
    error.begin() << name << ": no memory to read it into";
    return false;
  }
  const long got = read_at(fd, copy_.data(), status.size, 0);
  if (got != static_cast<long>(status.size)) {
    error.at(name, got < 0 ? 0 : static_cast<u64>(got))
        << "it cannot be read (" << (got < 0 ? reason_of(got) : "it shrank meanwhile") << ")";
    close();
    return false;
  }
  return accept(status.size, name, error);
}

bool Catalog::load(const void* memory, u64 size, const char* name, Error& error) {
  close();
  if (size < header_size) {
    error.at(name, size) << "the file ends inside its header" << remedy;
    return false;
  }
  CatalogHeader header;
  memcpy(&header, memory, sizeof header);
  if (!check_header(header, size, name, error)) {
    return false;
  }
  const u64 used = catalog_size(header.count);
  if (!copy_.reserve(used)) {
    error.begin() << name << ": no memory to read it into";
    return false;
  }
  memcpy(copy_.data(), memory, used);
  return accept(used, name, error);
}

std::span<const CatalogEntry> Catalog::entries() const {
  if (copy_.empty()) {
    return {};
  }
  return {pointer_to<const CatalogEntry>(address_of(copy_.data()) + header_size), header().count};
}

std::span<const CatalogEntry> Catalog::of_module(const ModuleId& module) const {
  const std::span<const CatalogEntry> all = entries();
  if (module.kind == ModuleIdKind::none) {
    return {};
  }
  // Bounds by binary search: the module's first entry, and the first one after it.
  const auto first_not = [&](auto&& passed, u64 low) {
    u64 high = all.size();
    while (low < high) {
      const u64 middle = low + (high - low) / 2;
      if (passed(order_of(all[middle].module.id, module))) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
  const u64 begin = first_not([](int o) { return o < 0; }, 0);
  const u64 end = first_not([](int o) { return o <= 0; }, begin);
  return all.subspan(begin, end - begin);
}

const CatalogEntry* Catalog::find(const ModuleId& module, u64 entry_offset, u64 code_hash) const {
  for (const CatalogEntry& entry : of_module(module)) {
    if (entry.entry_offset == entry_offset && entry.code_hash == code_hash) {
      return &entry;
    }
  }
  return nullptr;
}

const CatalogEntry* Catalog::find(u64 id) const {
  for (const CatalogEntry& entry : entries()) {
    if (entry.id == id) {
      return &entry;
    }
  }
  return nullptr;
}

}  // namespace selfheal::store
