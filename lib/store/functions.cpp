#include "lib/store/functions.h"

#include "lib/store/catalog.h"
#include "lib/store/checksum.h"
#include "lib/store/sanitize.h"

namespace selfheal::store {
namespace {

constexpr const char* remedy = "; move it away, and `selfheal learn` makes a new one";
constexpr u64 largest = sizeof(FunctionHeader) + u64{max_functions} * sizeof(FunctionEntry);

void make_safe(FunctionEntry& entry) {
  sanitize(entry.module);
  entry.declared = entry.declared > last_declared_type ? DeclaredType::unknown : entry.declared;
  entry.failure_known = entry.failure_known != 0 ? 1 : 0;
  entry.by_user = entry.by_user != 0 ? 1 : 0;
  entry.declared_by = entry.declared_by != 0 ? 1 : 0;
  entry.error_count =
      entry.error_count > max_error_values ? u8{max_error_values} : entry.error_count;
}

// Makes every entry safe to use; false: not in order.
bool check_entries(FunctionEntry* entries, u32 count) {
  for (u32 i = 0; i < count; ++i) {
    make_safe(entries[i]);
    if (i > 0 && !before(entries[i - 1], entries[i])) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool before(const FunctionEntry& a, const FunctionEntry& b) {
  const int by_module = order_of(a.module.id, b.module.id);
  return by_module != 0 ? by_module < 0 : a.entry_offset < b.entry_offset;
}

u64 functions_checksum(const FunctionHeader& header, const FunctionEntry* entries) {
  return checksum(entries, u64{header.count} * sizeof(FunctionEntry),
                  checksum(&header, offsetof(FunctionHeader, checksum)));
}

bool Functions::load(int fd, const char* name, Error& error) {
  close();
  FileStatus status = {};
  if (const long result = status_of(fd, status); result < 0) {
    error.begin() << name << ": " << reason_of(result);
    return false;
  }
  if (status.size < sizeof(FunctionHeader) || status.size > largest) {
    error.at(name, status.size) << "no such file ends here" << remedy;
    return false;
  }
  if (!copy_.reserve(status.size)) {
    error.begin() << name << ": no memory to read it into";
    return false;
  }
  const long size = read_at(fd, copy_.data(), status.size, 0);
  const FunctionHeader& header = this->header();
  auto* const entries = pointer_to<FunctionEntry>(address_of(copy_.data()) + sizeof header);
  if (size != static_cast<long>(status.size) || header.magic != functions_magic) {
    error.at(name, 0) << "this is not what is known of functions" << remedy;
  } else if (header.version != functions_version || header.entry_size != sizeof(FunctionEntry) ||
             header.count > max_functions) {
    error.at(name, offsetof(FunctionHeader, version)) << "another version's" << remedy;
  } else if (status.size != sizeof header + header.count * sizeof(FunctionEntry) ||
             header.checksum != functions_checksum(header, entries)) {
    error.at(name, offsetof(FunctionHeader, checksum)) << "the checksum is wrong" << remedy;
  } else if (!check_entries(entries, header.count)) {
    error.at(name, sizeof header) << "an entry is out of place" << remedy;
  } else {
    copy_.forbid_writes();
    return true;
  }
  close();
  return false;
}

std::span<const FunctionEntry> Functions::entries() const {
  if (copy_.empty()) {
    return {};
  }
  return {pointer_to<const FunctionEntry>(address_of(copy_.data()) + sizeof(FunctionHeader)),
          header().count};
}

const FunctionEntry* Functions::find(const ModuleId& module, u64 entry_offset,
                                     u64 code_hash) const {
  const std::span<const FunctionEntry> all = entries();
  FunctionEntry wanted{};
  wanted.module.id = module;
  wanted.entry_offset = entry_offset;
  u64 low = 0;
  for (u64 high = all.size(); low < high;) {
    const u64 middle = low + (high - low) / 2;
    if (before(all[middle], wanted)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (module.kind == ModuleIdKind::none || low == all.size() || before(wanted, all[low])) {
    return nullptr;
  }
  const u64 known = all[low].code_hash;
  return known == 0 || code_hash == 0 || known == code_hash ? &all[low] : nullptr;
}

bool has_learned_error(const Functions& functions, const ModuleId& module, u64 entry_offset) {
  const FunctionEntry* const entry = functions.find(module, entry_offset, 0);
  return entry != nullptr && entry->error_count != 0;
}

bool user_names_error(const Functions& functions, const ModuleId& module, u64 entry_offset) {
  const FunctionEntry* const entry = functions.find(module, entry_offset, 0);
  return entry != nullptr && entry->by_user != 0 && entry->error_count != 0;
}

const char* name_of(DeclaredType type) {
  switch (type) {
    case DeclaredType::unknown:
      return "unknown";
    case DeclaredType::nothing:
      return "nothing";
    case DeclaredType::truth:
      return "truth value";
    case DeclaredType::number:
      return "integer";
    case DeclaredType::count:
      return "unsigned integer";
    case DeclaredType::pointer:
      return "pointer";
    case DeclaredType::enumeration:
      return "enumeration";
    case DeclaredType::real:
      return "floating point";
    case DeclaredType::object:
      return "object";
  }
  return "unknown";
}

}  // namespace selfheal::store
