#include "cli/declared_return.h"

#include <algorithm>
#include <cctype>
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <iterator>
#include <memory>
#include <string_view>
#include <unistd.h>

namespace selfheal::cli {
namespace {

using store::DeclaredType;

constexpr int longest_chain = 32;  // typedefs of typedefs; a damaged file may go in a circle

struct EndDwfl {
  void operator()(Dwfl* dwfl) const { dwfl_end(dwfl); }
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

// The function of one compile unit that covers `address`; an inlined one has no code of its own.
struct Wanted {
  Dwarf_Addr address;
  Dwarf_Die function;
  bool found;
};

int take_if_wanted(Dwarf_Die* function, void* context) {
  Wanted& wanted = *static_cast<Wanted*>(context);
  if (dwarf_haspc(function, wanted.address) != 1) {
    return DWARF_CB_OK;
  }
  wanted.function = *function;
  wanted.found = true;
  return DWARF_CB_ABORT;
}

bool type_of(Dwarf_Die& die, Dwarf_Die& type) {
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(&die, DW_AT_type, &attribute) != nullptr &&
         dwarf_formref_die(&attribute, &type) != nullptr;
}

// Words that stand for "no" in the names of enumerators, the plainest first.
std::optional<i64> failure_among(Dwarf_Die& enumeration) {
  constexpr std::string_view words[] = {"error",  "err_",    "fail",   "invalid", "bad",
                                        "denied", "refused", "reject", "illegal", "unknown"};
  constexpr std::size_t none = std::size(words);
  std::size_t best = none;
  std::optional<i64> result;
  Dwarf_Die child;
  for (int more = dwarf_child(&enumeration, &child); more == 0;
       more = dwarf_siblingof(&child, &child)) {
    Dwarf_Attribute attribute;
    Dwarf_Sword value = 0;
    const char* name = dwarf_diename(&child);
    if (name == nullptr || dwarf_tag(&child) != DW_TAG_enumerator ||
        dwarf_attr(&child, DW_AT_const_value, &attribute) == nullptr ||
        dwarf_formsdata(&attribute, &value) != 0) {
      continue;
    }
    const std::string text = lower(name);
    // NO_ERROR, ERROR_NONE and their kin say the opposite.
    if (text.find("no_err") != text.npos || text.find("noerr") != text.npos ||
        text.find("none") != text.npos) {
      continue;
    }
    const auto word = std::find_if(std::begin(words), std::end(words),
                                   [&](std::string_view w) { return text.find(w) != text.npos; });
    const auto rank = static_cast<std::size_t>(word - std::begin(words));
    if (rank < best) {
      best = rank;
      result = value;
    }
  }
  return result;
}

DeclaredType base_type(Dwarf_Die& type) {
  Dwarf_Attribute attribute;
  Dwarf_Word encoding = 0;
  if (dwarf_attr(&type, DW_AT_encoding, &attribute) == nullptr ||
      dwarf_formudata(&attribute, &encoding) != 0) {
    return DeclaredType::unknown;
  }
  switch (encoding) {
    case DW_ATE_boolean:
      return DeclaredType::truth;
    case DW_ATE_signed:
    case DW_ATE_signed_char:
      return DeclaredType::number;
    case DW_ATE_unsigned:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
      return DeclaredType::count;
    case DW_ATE_float:
      return DeclaredType::real;
    default:
      return DeclaredType::unknown;
  }
}

// `gboolean`, `BOOL`, `bool_t`: ints that are meant for truth values.
bool says_truth(Dwarf_Die& type) {
  const char* name = dwarf_diename(&type);
  return name != nullptr && lower(name).find("bool") != std::string::npos;
}

DeclaredReturn classify(Dwarf_Die type) {
  for (int i = 0; i < longest_chain; ++i) {
    switch (dwarf_tag(&type)) {
      case DW_TAG_typedef:
        if (says_truth(type)) {
          return {DeclaredType::truth, {}};
        }
        [[fallthrough]];
      case DW_TAG_const_type:
      case DW_TAG_volatile_type:
      case DW_TAG_restrict_type:
      case DW_TAG_atomic_type: {
        Dwarf_Die inner;
        if (!type_of(type, inner)) {
          return {DeclaredType::nothing, {}};
        }
        type = inner;
        continue;
      }
      case DW_TAG_pointer_type:
      case DW_TAG_reference_type:
      case DW_TAG_rvalue_reference_type:
        return {DeclaredType::pointer, {}};
      case DW_TAG_enumeration_type:
        return {DeclaredType::enumeration, failure_among(type)};
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
      case DW_TAG_union_type:
        return {DeclaredType::object, {}};
      case DW_TAG_base_type:
        return {base_type(type), {}};
      default:
        return {};
    }
  }
  return {};
}

}  // namespace

std::optional<DeclaredReturn> declared_return(const std::string& path, u64 address) {
  Dwfl_Callbacks callbacks{};
  callbacks.find_elf = dwfl_build_id_find_elf;
  callbacks.find_debuginfo = dwfl_standard_find_debuginfo;  // asks debuginfod as it is configured
  callbacks.section_address = dwfl_offline_section_address;
  const std::unique_ptr<Dwfl, EndDwfl> dwfl(dwfl_begin(&callbacks));
  if (dwfl == nullptr) {
    return std::nullopt;
  }
  Dwfl_Module* const module = dwfl_report_offline(dwfl.get(), "", path.c_str(), -1);
  dwfl_report_end(dwfl.get(), nullptr, nullptr);
  GElf_Addr file_bias = 0;
  if (module == nullptr || dwfl_module_getelf(module, &file_bias) == nullptr) {
    return std::nullopt;
  }
  Dwarf_Addr bias = 0;
  Dwarf_Die* const unit = dwfl_module_addrdie(module, file_bias + address, &bias);
  if (unit == nullptr) {
    return std::nullopt;
  }
  Wanted wanted{file_bias + address - bias, {}, false};
  dwarf_getfuncs(unit, &take_if_wanted, &wanted, 0);
  if (!wanted.found) {
    return std::nullopt;
  }
  Dwarf_Addr entry = 0;
  if (dwarf_entrypc(&wanted.function, &entry) != 0) {
    return std::nullopt;
  }
  Dwarf_Die type;
  DeclaredReturn result =
      type_of(wanted.function, type) ? classify(type) : DeclaredReturn{DeclaredType::nothing, {}};
  result.entry = entry + bias - file_bias;
  return result;
}

}  // namespace selfheal::cli
