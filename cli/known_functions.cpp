#include "cli/known_functions.h"

#include <algorithm>
#include <cstring>
#include <fmt/core.h>

#include "cli/catalog_change.h"
#include "cli/store_file.h"

namespace selfheal::cli {
namespace {

using store::DeclaredType;
using store::FunctionEntry;

bool says_nothing(const FunctionEntry& entry) {
  return entry.error_count == 0 && entry.declared_by == 0;
}

std::vector<char> file_of(const FunctionList& list) {
  store::FunctionHeader header{};
  header.magic = store::functions_magic;
  header.version = store::functions_version;
  header.entry_size = sizeof(FunctionEntry);
  header.count = static_cast<u32>(list.size());
  header.written_ns = now_ns();
  header.checksum = store::functions_checksum(header, list.data());
  std::vector<char> bytes(sizeof header + list.size() * sizeof(FunctionEntry));
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!list.empty()) {
    std::memcpy(bytes.data() + sizeof header, list.data(), list.size() * sizeof(FunctionEntry));
  }
  return bytes;
}

}  // namespace

Outcome change_functions(OpenStore& opened, const std::function<void(FunctionList&)>& change) {
  std::string problem;
  const auto write = [&](store::CatalogEditor& editor) {
    store::Functions known;
    if (!store::load_functions(opened.store, known)) {
      problem = fmt::format("{}/{}: it is damaged; move it away", opened.place.path,
                            store::functions_name);
      return;
    }
    FunctionList list(known.entries().begin(), known.entries().end());
    known.close();
    change(list);
    std::erase_if(list, says_nothing);
    std::sort(list.begin(), list.end(),
              [](const FunctionEntry& a, const FunctionEntry& b) { return store::before(a, b); });
    if (list.size() > store::max_functions) {
      problem = fmt::format("{} functions are more than the {} that fit", list.size(),
                            store::max_functions);
      return;
    }
    if (const long result = replace_file(editor, store::functions_name, file_of(list));
        result < 0) {
      problem = fmt::format("{}/{}: it cannot be written ({}); the old one is still in place",
                            opened.place.path, store::functions_name, store::reason_of(result));
    }
  };
  if (Outcome done = change_catalog(opened.store, write); !done) {
    return done;
  }
  if (!problem.empty()) {
    return fail(problem);
  }
  store::Functions now;
  if (store::load_functions(opened.store, now)) {
    opened.store.functions.close();
    opened.store.functions = std::move(now);
  }
  return 0;
}

FunctionEntry& function_in(FunctionList& list, const RecordModule& module, u64 entry_offset) {
  const auto same = [&](const FunctionEntry& entry) {
    return entry.module.id == module.id && entry.entry_offset == entry_offset;
  };
  if (const auto found = std::find_if(list.begin(), list.end(), same); found != list.end()) {
    return *found;
  }
  FunctionEntry& entry = list.emplace_back();
  entry.module = module;
  entry.entry_offset = entry_offset;
  return entry;
}

void set_errors(FunctionEntry& entry, const std::vector<u64>& values) {
  entry.by_user = 1;
  entry.error_count = static_cast<u8>(std::min<size_t>(values.size(), store::max_error_values));
  for (size_t i = 0; i < store::max_error_values; ++i) {
    entry.errors[i] =
        i < entry.error_count ? store::ErrorValue{values[i], 0, 0} : store::ErrorValue{};
  }
}

std::string value_text(u64 value) {
  constexpr i64 small = 4096;
  const auto number = static_cast<i64>(value);
  const i64 as_int = static_cast<i32>(static_cast<u32>(value));
  if (number > -small && number < small * 16) {
    return std::to_string(number);
  }
  return value <= 0xffff'ffff && as_int < 0 && as_int > -small ? std::to_string(as_int)
                                                               : hex(value);
}

std::string errors_text(const FunctionEntry& entry) {
  std::string text;
  for (u32 i = 0; i < entry.error_count; ++i) {
    text += (i == 0 ? "" : ", ") + value_text(entry.errors[i].value);
    if (entry.by_user == 0) {
      text += fmt::format(" ({} of {} bad calls)", entry.errors[i].bad, entry.calls_bad);
    }
  }
  if (text.empty()) {
    return text;
  }
  return text + (entry.by_user != 0 ? " (set by the user)"
                                    : fmt::format(", none of {} good ones", entry.calls_good));
}

std::string declared_text(const FunctionEntry& entry) {
  if (entry.declared == DeclaredType::unknown) {
    return "";
  }
  const std::string type = name_of(entry.declared);
  return entry.failure_known == 0
             ? type
             : fmt::format("{}, of which {} says failure", type, value_text(entry.failure));
}

Json json_known(const FunctionEntry& entry) {
  Json errors = Json::array();
  for (u32 i = 0; i < entry.error_count; ++i) {
    errors.push_back({{"value", hex(entry.errors[i].value)},
                      {"good", entry.errors[i].good},
                      {"bad", entry.errors[i].bad}});
  }
  Json result = {{"module", json_module(entry.module)},
                 {"entry", hex(entry.entry_offset)},
                 {"declared", name_of(entry.declared)}};
  result["failing_enumerator"] =
      entry.failure_known != 0 ? Json(hex(entry.failure)) : Json(nullptr);
  result["errors"] = std::move(errors);
  result["set_by_user"] = entry.by_user != 0;
  result["calls_good"] = entry.calls_good;
  result["calls_bad"] = entry.calls_bad;
  result["learned"] = json_time(entry.learned_ns);
  return result;
}

}  // namespace selfheal::cli
