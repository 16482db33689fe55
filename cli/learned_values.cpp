#include "cli/learned_values.h"

#include <algorithm>
#include <fmt/core.h>
#include <map>

#include "cli/known_functions.h"

namespace selfheal::cli {
namespace {

using store::SeenValue;

constexpr size_t few_values = 4;

bool is_no(u64 value) {
  return value == 0 || static_cast<i64>(value) < 0 ||
         (value <= 0xffff'ffff && static_cast<i32>(static_cast<u32>(value)) < 0);
}

bool returns_many(const Watched& watched) {
  const auto good = std::count_if(watched.values.begin(), watched.values.end(),
                                  [](const SeenValue& seen) { return seen.good != 0; });
  return watched.other_good != 0 || static_cast<size_t>(good) > few_values;
}

}  // namespace

u64 Watched::calls_good() const {
  u64 calls = other_good;
  for (const SeenValue& seen : values) {
    calls += seen.good;
  }
  return calls;
}

u64 Watched::calls_bad() const {
  u64 calls = other_bad;
  for (const SeenValue& seen : values) {
    calls += seen.bad;
  }
  return calls;
}

std::vector<Watched> watched_functions(const store::Learning& learning) {
  std::vector<Watched> result;
  store::WatchedCell cell;
  for (u32 i = 0; i < store::max_watched; ++i) {
    if (!learning.read(i, cell)) {
      continue;
    }
    std::map<u64, SeenValue> seen;
    for (const SeenValue& value : cell.values) {
      SeenValue& sum = seen[value.value];
      sum.value = value.value;
      sum.good += value.good;
      sum.bad += value.bad;
    }
    Watched watched{cell.module, cell.entry_offset, cell.code_hash,
                    {},          cell.other_good,   cell.other_bad};
    for (const auto& [value, sum] : seen) {
      if (sum.good + sum.bad != 0) {
        watched.values.push_back(sum);
      }
    }
    std::stable_sort(watched.values.begin(), watched.values.end(),
                     [](const SeenValue& a, const SeenValue& b) {
                       return a.good != b.good ? a.good > b.good : a.bad > b.bad;
                     });
    if (watched.calls_good() + watched.calls_bad() != 0) {
      result.push_back(std::move(watched));
    }
  }
  return result;
}

std::vector<SeenValue> error_values(const Watched& watched) {
  std::vector<SeenValue> errors;
  if (watched.calls_good() < least_good_calls) {
    return errors;
  }
  const bool many = returns_many(watched);
  for (const SeenValue& seen : watched.values) {
    if (seen.good == 0 && seen.bad >= least_bad_returns && (!many || is_no(seen.value))) {
      errors.push_back(seen);
    }
  }
  std::stable_sort(errors.begin(), errors.end(),
                   [](const SeenValue& a, const SeenValue& b) { return a.bad > b.bad; });
  if (errors.size() > store::max_error_values) {
    errors.resize(store::max_error_values);
  }
  return errors;
}

std::string values_text(const Watched& watched, bool good) {
  std::string text;
  for (const SeenValue& seen : watched.values) {
    if (const u64 times = good ? seen.good : seen.bad; times != 0) {
      text += fmt::format("{}{} x{}", text.empty() ? "" : ", ", value_text(seen.value), times);
    }
  }
  if (const u64 others = good ? watched.other_good : watched.other_bad; others != 0) {
    text += fmt::format("{}others x{}", text.empty() ? "" : ", ", others);
  }
  return text.empty() ? "-" : text;
}

Json json_watched(const Watched& watched) {
  Json values = Json::array();
  for (const SeenValue& seen : watched.values) {
    values.push_back({{"value", hex(seen.value)}, {"good", seen.good}, {"bad", seen.bad}});
  }
  Json errors = Json::array();
  for (const SeenValue& error : error_values(watched)) {
    errors.push_back(hex(error.value));
  }
  return {{"module", json_module(watched.module)}, {"entry", hex(watched.entry_offset)},
          {"values", std::move(values)},           {"other_good", watched.other_good},
          {"other_bad", watched.other_bad},        {"errors", std::move(errors)}};
}

}  // namespace selfheal::cli
