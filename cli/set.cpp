// selfheal set: what is done about a region's faults, in place of what we would do by ourselves.
#include <fmt/core.h>
#include <limits>
#include <memory>
#include <optional>

#include "cli/catalog_change.h"
#include "cli/format.h"
#include "cli/region_json.h"
#include "cli/regions.h"
#include "cli/session.h"
#include "lib/store/catalog.h"
#include "lib/store/levels.h"

namespace selfheal::cli {
namespace {

using store::CatalogEntry;

constexpr const char* examples =
    "Examples:\n"
    "  selfheal set 4f2a --value -1 --errno 12   what its caller gets when it is healed\n"
    "  selfheal set 4f2a --value auto            as the caller's code tells, again\n"
    "  selfheal set 4f2a --level 1               its caller is to fail instead\n"
    "  selfheal set 4f2a --policy stop           record its faults, never heal them\n"
    "  selfheal set 81c0 --policy heal           heal it although its integrity is in doubt\n"
    "  selfheal set 81c0 --remedy pad-allocation --padding 64\n"
    "\n"
    "'auto' gives a setting back to us. Running processes see it at their next blocking call.\n";

struct Request {
  std::vector<std::string> ids;
  std::string policy, level, value, error_number, remedy, padding, stack_reserve, budget;
};

using Change = std::function<void(CatalogEntry&)>;

// Turns one option's text into a change of an entry. An empty text changes nothing.
class Changes {
 public:
  void number(const std::string& option, const std::string& text, i64 least, i64 most,
              const std::function<void(CatalogEntry&, std::optional<i64>)>& set) {
    if (text.empty() || failure_) {
      return;
    }
    const std::optional<i64> value = text == "auto" ? std::nullopt : number_in(text);
    if (text != "auto" && (!value || *value < least || *value > most)) {
      failure_ = fmt::format("--{}: '{}' is no number from {} to {}, nor 'auto'", option,
                             printable(text), least, most);
      return;
    }
    list_.emplace_back([set, value](CatalogEntry& entry) { set(entry, value); });
  }

  void policy(const std::string& text);
  void remedies(const std::string& text);

  bool empty() const { return list_.empty(); }
  const std::optional<std::string>& failure() const { return failure_; }
  void apply(CatalogEntry& entry) const {
    for (const Change& change : list_) {
      change(entry);
    }
  }

 private:
  std::vector<Change> list_;
  std::optional<std::string> failure_;
};

void Changes::policy(const std::string& text) {
  if (text.empty() || failure_) {
    return;
  }
  if (text == "auto") {
    list_.emplace_back([](CatalogEntry& entry) {
      entry.policy = store::default_policy(entry.fault_kind);
      entry.policy_by_user = 0;
    });
    return;
  }
  for (const store::Policy policy : {store::Policy::heal, store::Policy::stop}) {
    if (text == store::name_of(policy)) {
      list_.emplace_back([policy](CatalogEntry& entry) {
        entry.policy = policy;
        entry.policy_by_user = 1;
      });
      return;
    }
  }
  failure_ = "--policy: '" + printable(text) + "' is none of heal, stop, auto";
}

std::optional<u8> remedy_named(std::string_view name) {
  if (name == name_of(Remedy::engine)) {
    return 0;
  }
  for (const Remedy remedy : all_remedies) {
    if (name == name_of(remedy)) {
      return static_cast<u8>(remedy);
    }
  }
  return std::nullopt;
}

void Changes::remedies(const std::string& text) {
  if (text.empty() || failure_) {
    return;
  }
  if (text == "auto") {
    list_.emplace_back([](CatalogEntry& entry) {
      entry.remedies = store::default_remedies(entry.fault_kind, entry.detail);
      entry.remedies_by_user = 0;
    });
    return;
  }
  u8 bits = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string name = text.substr(begin, end - begin);
    const std::optional<u8> bit = remedy_named(name);
    if (!bit) {
      std::string known = name_of(Remedy::engine);
      for (const Remedy remedy : all_remedies) {
        known += std::string(", ") + name_of(remedy);
      }
      failure_ = "--remedy: '" + printable(name) + "' is none of " + known + ", auto";
      return;
    }
    bits |= *bit;
    begin = end + 1;
  }
  list_.emplace_back([bits](CatalogEntry& entry) {
    entry.remedies = bits;
    entry.remedies_by_user = 1;
  });
}

Changes changes_of(const Request& request) {
  constexpr i64 any = std::numeric_limits<i64>::max();
  constexpr i64 largest_padding = 1 << 20;
  constexpr i64 largest_reserve = i64{1} << 30;
  Changes changes;
  changes.policy(request.policy);
  changes.number("level", request.level, 0, store::max_levels - 1,
                 [](CatalogEntry& entry, auto level) {
                   entry.level_by_user = level ? 1 : 0;
                   entry.level = static_cast<u8>(level.value_or(0));
                   entry.value_slot = 0;
                   store::move_on(entry);
                 });
  changes.number("value", request.value, -any - 1, any, [](CatalogEntry& entry, auto value) {
    entry.level_by_user |= value && entry.level != 0 ? 1 : 0;  // it is that level's value
    entry.value_set = value ? 1 : 0;
    entry.value = static_cast<u64>(value.value_or(0));
  });
  changes.number("errno", request.error_number, 0, 4095, [](CatalogEntry& entry, auto value) {
    entry.error_set = value ? 1 : 0;
    entry.error_number = static_cast<i32>(value.value_or(0));
  });
  changes.remedies(request.remedy);
  changes.number(
      "padding", request.padding, 0, largest_padding,
      [](CatalogEntry& entry, auto value) { entry.padding = static_cast<u32>(value.value_or(0)); });
  changes.number("stack-reserve", request.stack_reserve, 0, largest_reserve,
                 [](CatalogEntry& entry, auto value) {
                   entry.stack_reserve = static_cast<u64>(value.value_or(0));
                 });
  changes.number("instruction-budget", request.budget, 0, any, [](CatalogEntry& entry, auto value) {
    entry.instruction_budget = static_cast<u64>(value.value_or(0));
  });
  return changes;
}

Outcome set(const Session& session, const Request& request) {
  const Changes changes = changes_of(request);
  if (changes.failure()) {
    return fail(*changes.failure(), exit_usage);
  }
  if (changes.empty()) {
    return fail("nothing to set: name a setting (see `selfheal set --help`)", exit_usage);
  }
  const auto opened = open_to_change(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  Result<std::vector<Region>> regions = chosen_regions(**opened, request.ids);
  if (!regions) {
    return tl::unexpected(regions.error());
  }
  for (Region& region : *regions) {
    changes.apply(region.entry);
    if (region.entry.level >= store::level_count(region.entry)) {
      return fail(fmt::format("--level: region {} has the levels 0 to {}", id_text(region.entry.id),
                              store::level_count(region.entry) - 1));
    }
  }
  const Outcome done = change_catalog((*opened)->store, [&](store::CatalogEditor& editor) {
    for (Region& region : *regions) {
      if (CatalogEntry* entry = editor.find(region.entry.id); entry != nullptr) {
        changes.apply(*entry);
        region.entry = *entry;
      }
    }
  });
  if (!done) {
    return done;
  }
  ModuleFinder modules(std::vector<std::string>{});
  Json changed = Json::array();
  for (const Region& region : *regions) {
    changed.push_back(json_region(region, modules));
    if (!session.json) {
      fmt::print("set {} ({}+{})\n", id_text(region.entry.id), name_of(region.entry.module),
                 hex(region.entry.entry_offset));
    }
  }
  if (session.json) {
    print_json({{"changed", std::move(changed)}});
  }
  return 0;
}

}  // namespace

void add_set(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("set", "Say what is done about a function's faults");
  const auto request = std::make_shared<Request>();
  command->footer(examples);
  command->add_option("ID", request->ids, "Ids, or their first digits")->required();
  const auto setting = [&](const char* name, std::string& text, const char* help,
                           const char* type = "NUMBER|auto") {
    command->add_option(name, text, help)->type_name(type);
  };
  setting("--policy", request->policy, "Heal it, or let its faults end the process",
          "heal|stop|auto");
  setting("--level", request->level,
          "Which function is rolled back and fails: 0 is the region, as `selfheal info` counts");
  setting("--value", request->value, "What its caller gets (decimal or 0x...)");
  setting("--errno", request->error_number, "errno that goes with it; 0 leaves it alone");
  setting("--remedy", request->remedy, "How it is kept from its fault, separated by commas",
          "NAME,...|auto");
  setting("--padding", request->padding, "Bytes that pad-allocation adds");
  setting("--stack-reserve", request->stack_reserve, "Bytes of stack that stack-check keeps free");
  setting("--instruction-budget", request->budget, "Instructions one call may take");
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session, request] {
    session.action = [&session, request] { return set(session, *request); };
  });
}

}  // namespace selfheal::cli
