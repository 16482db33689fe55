// selfheal enable, selfheal disable: whether a region is healed.
#include <fmt/core.h>
#include <memory>

#include "cli/catalog_change.h"
#include "cli/format.h"
#include "cli/module_finder.h"
#include "cli/regions.h"
#include "cli/session.h"
#include "lib/store/budget.h"

namespace selfheal::cli {
namespace {

constexpr const char* enable_examples =
    "Examples:\n"
    "  selfheal enable 4f2a    heal this region again; its breaker is closed\n"
    "\n"
    "Running processes see it at their next blocking call.\n";

constexpr const char* disable_examples =
    "Examples:\n"
    "  selfheal disable 4f2a       let this region run natively, and crash\n"
    "  selfheal disable 4f2a 81c0  several at once\n"
    "\n"
    "Running processes see it at their next blocking call. Its crashes are still recorded.\n";

Outcome set_enabled(const Session& session, const std::vector<std::string>& ids, bool enable) {
  const auto opened = open_to_change(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  const Result<std::vector<Region>> regions = chosen_regions(**opened, ids);
  if (!regions) {
    return tl::unexpected(regions.error());
  }
  const auto flip = [&](store::CatalogEditor& editor) {
    for (const Region& region : *regions) {
      if (store::CatalogEntry* entry = editor.find(region.entry.id); entry != nullptr) {
        entry->enabled = enable ? 1 : 0;
      }
    }
  };
  if (Outcome done = change_catalog((*opened)->store, flip); !done) {
    return done;
  }
  if (enable) {  // and close the breakers that keep them from being healed
    for (const Region& region : *regions) {
      store::budget_reset((*opened)->store.journal, region.entry.id);
    }
    store::budget_reset_groups((*opened)->store.journal);
    (*opened)->store.journal.tell_news();
  }
  Json changed = Json::array();
  for (const Region& region : *regions) {
    const bool was = region.entry.enabled != 0;
    changed.push_back({{"id", id_text(region.entry.id)}, {"enabled", enable}, {"was", was}});
    if (!session.json) {
      fmt::print("{} {} ({}+{}){}\n", enable ? "enabled" : "disabled", id_text(region.entry.id),
                 name_of(region.entry.module), hex(region.entry.entry_offset),
                 was == enable ? ", as it was" : "");
    }
  }
  if (session.json) {
    print_json({{"changed", std::move(changed)}});
  }
  return 0;
}

void add_switch(CLI::App& app, Session& session, bool enable, const char* name,
                const char* description, const char* examples) {
  CLI::App* command = app.add_subcommand(name, description);
  const auto ids = std::make_shared<std::vector<std::string>>();
  command->footer(examples);
  command->add_option("ID", *ids, "Ids, or their first digits")->required();
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session, ids, enable] {
    session.action = [&session, ids, enable] { return set_enabled(session, *ids, enable); };
  });
}

}  // namespace

void add_enable(CLI::App& app, Session& session) {
  add_switch(app, session, true, "enable", "Heal a function again", enable_examples);
}

void add_disable(CLI::App& app, Session& session) {
  add_switch(app, session, false, "disable", "Stop healing a function", disable_examples);
}

}  // namespace selfheal::cli
