#include "lib/recover/type_info.h"

#include "lib/image/reader.h"

namespace selfheal::recover {
namespace {

using image::Reader;

constexpr unsigned deepest = 12;    // classes above each other
constexpr u32 most_bases = 16;      // of one class
constexpr u64 longest_name = 1024;  //
constexpr u64 vtable_word = sizeof(u64);

u64 word_at(u64 address) {
  image::Module module;
  return image::locate_module(address, module) ? Reader(module, address).read<u64>() : 0;
}

std::string_view text_at(u64 address) {
  image::Module module;
  if (address == 0 || !image::locate_module(address, module)) {
    return {};
  }
  Reader reader(module, address);
  while (reader.read<u8>() != 0) {
    if (reader.at() - address > longest_name) {
      return {};
    }
  }
  return reader.ok() ? std::string_view(pointer_to<const char>(address)) : std::string_view{};
}

std::string_view name_of_type(u64 type) {
  return type != 0 ? text_at(word_at(type + sizeof(u64))) : std::string_view{};
}

// By the type_info of the type_info's own class, which its vtable names.
std::string_view kind_of_type(u64 type) {
  const u64 vtable = word_at(type);
  return vtable != 0 ? name_of_type(word_at(vtable - vtable_word)) : std::string_view{};
}

bool same_type(u64 a, u64 b) {
  const std::string_view name = name_of_type(a);
  return a == b || (!name.empty() && name[0] != '*' && name == name_of_type(b));
}

// Calls `visit` for the public bases, until it says true.
template <typename Visit>
bool any_base(u64 type, Visit visit) {
  constexpr u64 bases = 2 * sizeof(u64);
  const std::string_view kind = kind_of_type(type);
  if (kind == "N10__cxxabiv120__si_class_type_infoE") {
    return visit(word_at(type + bases));
  }
  if (kind != "N10__cxxabiv121__vmi_class_type_infoE") {
    return false;
  }
  constexpr u64 is_public = 2;
  constexpr u64 size = 2 * sizeof(u64);
  const u32 count = static_cast<u32>(word_at(type + bases) >> 32);
  for (u32 i = 0; i < count && i < most_bases; ++i) {
    const u64 base = type + bases + sizeof(u64) + i * size;
    if ((word_at(base + sizeof(u64)) & is_public) != 0 && visit(word_at(base))) {
      return true;
    }
  }
  return false;
}

bool derives(u64 type, u64 from, unsigned depth) {
  return same_type(type, from) ||
         (depth != 0 && any_base(type, [&](u64 base) { return derives(base, from, depth - 1); }));
}

StandardException nearest(u64 type, unsigned depth) {
  StandardException found = find_standard_exception(name_of_type(type));
  if (found == StandardException::none && depth != 0) {
    any_base(type, [&](u64 base) {
      found = nearest(base, depth - 1);
      return found != StandardException::none;
    });
  }
  return found;
}

}  // namespace

bool is_caught_by(u64 type, u64 clause) {
  return type != 0 && clause != 0 && derives(type, clause, deepest);
}

bool is_caught_by(StandardException exception, u64 clause) {
  return is_a(exception, name_of_type(clause));
}

StandardException standard_exception_of(u64 type) {
  return type != 0 ? nearest(type, deepest) : StandardException::none;
}

u64 type_at(u64 slot) {
  return slot != 0 ? word_at(slot) : 0;
}

u64 code_behind_type(u64 type) {
  const u64 vtable = type != 0 ? word_at(type) : 0;
  return vtable != 0 ? word_at(vtable) : 0;
}

}  // namespace selfheal::recover
