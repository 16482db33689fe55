// selfheal config: each option of the library, its value, and where that came from.
#include <fmt/core.h>
#include <memory>

#include "cli/format.h"
#include "cli/library.h"
#include "cli/session.h"
#include "cli/settings.h"
#include "cli/store_access.h"
#include "cli/table.h"

namespace selfheal::cli {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  selfheal config                                what a program started now would get\n"
    "  SELFHEAL_OPTIONS=mode=observe selfheal config  ... with these settings\n"
    "  selfheal config --mode eager                   ... from `selfheal run --mode eager`\n"
    "\n"
    "Later settings win: the defaults, SELFHEAL_OPTIONS, the command line.\n";

void print_document(const options::Options& options, const StorePlace& place,
                    const std::string& library) {
  Json list = Json::array();
  for (const options::OptionInfo& info : options::table()) {
    const bool is_store = info.id == options::OptionId::store;
    list.push_back(
        {{"name", info.name},
         {"value", is_store ? place.path : value_text(options, info.id)},
         {"source", is_store ? place.source : options::name_of(options.source_of(info.id))},
         {"default", info.standard},
         {"allowed", info.allowed},
         {"help", info.help}});
  }
  print_json({{"options", std::move(list)}, {"library", json_name(library)}});
}

void print_table(const Session& session, const options::Options& options, const StorePlace& place,
                 const std::string& library) {
  Table table;
  table.column("OPTION");
  table.column("VALUE", Align::left, Fit::cut);
  table.column("FROM");
  for (const options::OptionInfo& info : options::table()) {
    if (info.id == options::OptionId::store) {
      table.row({{info.name}, {place.path}, {place.source}});
      continue;
    }
    const bool standard = options.source_of(info.id) == options::Source::standard;
    table.row(
        {{info.name},
         {value_text(options, info.id), standard ? Colour::none : Colour::bold},
         {options::name_of(options.source_of(info.id)), standard ? Colour::dim : Colour::none}});
  }
  fmt::print("{}\nlibrary: {}\n", table.render(session.terminal),
             library.empty() ? "not found; set SELFHEAL_LIBRARY" : library);
}

Outcome config(const Session& session, const Settings& settings) {
  const Result<options::Options> options = merged_options(settings, exit_usage);
  if (!options) {
    return tl::unexpected(options.error());
  }
  const Result<StorePlace> place = locate_store(session);
  if (!place) {
    return tl::unexpected(place.error());
  }
  const std::string library = find_library().value_or("");
  if (session.json) {
    print_document(*options, *place, library);
  } else {
    print_table(session, *options, *place, library);
  }
  return 0;
}

}  // namespace

void add_config(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("config", "Show the library's options and their values");
  const auto settings = std::make_shared<Settings>();
  command->footer(examples);
  add_settings(*command, *settings);
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session, settings] {
    session.action = [&session, settings] { return config(session, *settings); };
  });
}

}  // namespace selfheal::cli
