#include "cli/decision.h"

#include <filesystem>
#include <fmt/core.h>

#include "lib/store/decision.h"

namespace selfheal::cli {
namespace {

// The program is at the outer end of the stack, where it does not end too early.
std::string program_of(const store::CatalogEntry& entry) {
  std::string name;
  for (u32 i = 0; i < entry.frame_count && i < max_frames; ++i) {
    const u32 module = entry.frames[i].module;
    const std::string file =
        module < entry.module_count ? name_of(entry.modules[module]) : std::string();
    name = file.empty() || file.find(".so") != file.npos ? name : file;
  }
  return name;
}

}  // namespace

store::Decision decision_on(const OpenStore& opened, const store::CatalogEntry& entry,
                            ModuleFinder& modules) {
  const std::string program = program_of(entry);
  const std::string module = name_of(entry.module);
  const std::string function = modules.function_name(entry.module, entry.entry_offset);
  const store::RuleSubject subject{program, module, function, entry.module.id};
  return store::decide_on(opened.store, subject, entry, [&] { return entry.decides_access != 0; });
}

std::string action_of(const store::Decision& decision) {
  std::string text = name_of(decision.mode);
  if (decision.percent != 100) {
    text += fmt::format(", {} % of the faults", decision.percent);
  }
  if (decision.level_set) {
    text += fmt::format(", level {}", decision.level);
  }
  if (decision.value_set) {
    text += fmt::format(", value {}", static_cast<i64>(decision.value));
  }
  if (decision.error_set) {
    text += fmt::format(", errno {}", decision.error_number);
  }
  return text;
}

const char* why_not_healed(const store::Decision& decision) {
  switch (decision.mode) {
    case store::RuleMode::observe:
      return "a rule says to observe only";
    case store::RuleMode::stop:
      return "the process is to end";
    case store::RuleMode::simulate:
      return "a rule says to simulate only";
    case store::RuleMode::known_value:
      return decision.value_set ? nullptr
                                : "it may decide about access, so its error value is not guessed: "
                                  "`selfheal set ID --value` names it";
    case store::RuleMode::unset:
    case store::RuleMode::heal:
      break;
  }
  return nullptr;
}

}  // namespace selfheal::cli
