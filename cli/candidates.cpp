#include "cli/candidates.h"

#include <algorithm>
#include <fmt/core.h>

#include "cli/format.h"
#include "cli/table.h"
#include "lib/base/standard_exception.h"

namespace selfheal::cli {
namespace {

using store::Candidate;
using store::CatalogEntry;
using store::Score;
using store::ValueSlot;

std::string function_of(const CatalogEntry& entry, u32 level, ModuleFinder& modules) {
  RecordModule module = entry.module;
  u64 offset = entry.entry_offset;
  if (level != 0) {
    const CodeRef& frame = entry.frames[store::frame_of_level(entry, level)];
    module = entry.modules[frame.module];  // sanitized: levels have one
    offset = frame.offset - 1;             // the call, not what comes after it
  }
  const std::string name = modules.function_name(module, offset);
  return !name.empty() ? name : fmt::format("{}+{}", name_of(module), hex(offset));
}

bool is_among(const store::Escalation& ready, Candidate candidate) {
  const u8* const end = ready.levels + ready.count;
  return candidate.slot == ValueSlot::best && std::find(ready.levels, end, candidate.level) != end;
}

bool was_tried(const CatalogEntry& entry, Candidate candidate) {
  return store::tries_of(store::score_of(entry, candidate)) != 0 ||
         store::verdict_of(entry, candidate) != store::Verdict::none;
}

}  // namespace

std::string value_text(const CatalogEntry& entry, Candidate candidate) {
  if (candidate == store::in_use(entry) && entry.value_set != 0) {
    return hex(entry.value);
  }
  const std::string name = store::name_of(candidate.slot);
  if (candidate.slot != ValueSlot::best ||
      entry.best_reasons[candidate.level] == ValueReason::none) {
    return name;
  }
  if (entry.best_reasons[candidate.level] == ValueReason::unused) {
    return name + " (none needed)";
  }
  if (entry.best_reasons[candidate.level] == ValueReason::throws) {
    const auto thrown = thrown_by(entry.best_values[candidate.level]);
    return fmt::format("{} (throws {})", name, name_of(thrown));
  }
  const i64 value = static_cast<i64>(entry.best_values[candidate.level]);
  return value >= -4096 && value <= 4096
             ? fmt::format("{} ({})", name, value)
             : fmt::format("{} ({})", name, hex(static_cast<u64>(value)));
}

std::vector<CandidateView> candidates_of(const CatalogEntry& entry, ModuleFinder& modules) {
  std::vector<CandidateView> result;
  const store::Escalation ready = store::escalation_of(entry);
  for (u32 level = 0; level < store::level_count(entry); ++level) {
    const bool unfit = (entry.unfit_levels >> level & 1) != 0;
    for (u32 slot = 0; slot < store::values_a_level; ++slot) {
      const Candidate candidate{static_cast<u8>(level), static_cast<ValueSlot>(slot)};
      const bool in_use = candidate == store::in_use(entry);
      if (in_use || store::usable(entry, candidate) || was_tried(entry, candidate) ||
          (unfit && slot == 0)) {
        result.push_back({candidate, function_of(entry, level, modules), in_use,
                          is_among(ready, candidate), unfit});
      }
    }
  }
  return result;
}

std::string candidate_table(const CatalogEntry& entry, ModuleFinder& modules,
                            const Terminal& terminal) {
  const std::vector<CandidateView> candidates = candidates_of(entry, modules);
  if (candidates.size() < 2) {
    return "";
  }
  Table table;
  table.column("");
  table.column("LEVEL", Align::right);
  table.column("FUNCTION", Align::left, Fit::cut);
  table.column("RETURNS");
  table.column("BECAUSE");
  table.column("STUCK", Align::right);
  table.column("AGAIN", Align::right);
  table.column("DIED", Align::right);
  table.column("LEFT OPEN", Align::right);
  table.column("VERIFIED");
  for (const CandidateView& view : candidates) {
    const Score& score = store::score_of(entry, view.candidate);
    const store::Verdict verdict = store::verdict_of(entry, view.candidate);
    table.row(
        {{view.in_use  ? "=>"
          : view.ready ? "+"
                       : ""},
         {std::to_string(view.candidate.level)},
         {view.function},
         {view.unfit ? "no rescue point" : value_text(entry, view.candidate)},
         {view.candidate.slot == ValueSlot::best ? name_of(entry.evidence[view.candidate.level])
                                                 : ""},
         {std::to_string(score.stuck)},
         {std::to_string(score.again)},
         {std::to_string(score.died)},
         {std::to_string(score.left_open)},
         {verdict == store::Verdict::none ? "-" : store::name_of(verdict)}});
  }
  return table.render(terminal);
}

Json json_candidates(const CatalogEntry& entry, ModuleFinder& modules) {
  Json list = Json::array();
  for (const CandidateView& view : candidates_of(entry, modules)) {
    const Score& score = store::score_of(entry, view.candidate);
    const bool best = view.candidate.slot == ValueSlot::best;
    Json one = {{"level", view.candidate.level},
                {"function", view.function},
                {"value", store::name_of(view.candidate.slot)},
                {"in_use", view.in_use},
                {"ready", view.ready},
                {"unfit", view.unfit},
                {"stuck", score.stuck},
                {"again", score.again},
                {"died", score.died},
                {"left_open", score.left_open},
                {"verified", store::name_of(store::verdict_of(entry, view.candidate))}};
    if (best) {
      one["evidence"] = name_of(entry.evidence[view.candidate.level]);
      one["best_value"] = entry.best_reasons[view.candidate.level] == ValueReason::none
                              ? Json(nullptr)
                              : Json(hex(entry.best_values[view.candidate.level]));
    }
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace selfheal::cli
