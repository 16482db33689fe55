// selfheal learn: what functions return when things go wrong.
#include <algorithm>
#include <fmt/core.h>
#include <memory>

#include "cli/function_place.h"
#include "cli/known_functions.h"
#include "cli/module_finder.h"
#include "cli/session.h"
#include "cli/table.h"

namespace selfheal::cli {
namespace {

using store::FunctionEntry;

constexpr const char* examples =
    "Examples:\n"
    "  selfheal learn                               what is known so far\n"
    "  selfheal learn --set 4f2a=-1                 the region fails by returning -1\n"
    "  selfheal learn --set 'server!parse=7'        so does a function that never faulted\n"
    "  selfheal learn --set server+0x1240=7,9       7 is returned; 9 is a failure, too\n"
    "  selfheal learn --forget 'server!parse'       forget that\n"
    "\n"
    "docs/learn.md tells more.\n";

struct Request {
  std::vector<std::string> set;     // PLACE=VALUE
  std::vector<std::string> forget;  // PLACE
};

Result<std::vector<u64>> values_in(const std::string& text) {
  std::vector<u64> values;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::optional<i64> value = number_in(text.substr(begin, end - begin));
    if (!value || values.size() == store::max_error_values) {
      return fail(fmt::format("--set: '{}' is not one to {} numbers, separated by commas",
                              printable(text), store::max_error_values),
                  exit_usage);
    }
    values.push_back(static_cast<u64>(*value));
    begin = end + 1;
  }
  return values;
}

// What --set and --forget ask for; each is found before any is changed.
struct Change {
  FunctionPlace place;
  std::vector<u64> values;  // none: forget
};

Result<std::vector<Change>> changes_of(const OpenStore& opened, const Request& request) {
  std::vector<Change> changes;
  const auto add = [&](const std::string& text, std::vector<u64> values) -> Outcome {
    const Result<FunctionPlace> place = find_place(opened, text);
    if (!place) {
      return tl::unexpected(place.error());
    }
    changes.push_back({*place, std::move(values)});
    return 0;
  };
  for (const std::string& text : request.set) {
    const size_t equals = text.rfind('=');
    if (equals == text.npos) {
      return fail(fmt::format("--set: '{}' is no PLACE=VALUE", printable(text)), exit_usage);
    }
    Result<std::vector<u64>> values = values_in(text.substr(equals + 1));
    if (!values) {
      return tl::unexpected(values.error());
    }
    if (Outcome done = add(text.substr(0, equals), std::move(*values)); !done) {
      return tl::unexpected(done.error());
    }
  }
  for (const std::string& text : request.forget) {
    if (Outcome done = add(text, {}); !done) {
      return tl::unexpected(done.error());
    }
  }
  return changes;
}

Outcome change(const Session& session, const Request& request) {
  const Result<StorePlace> place = locate_store(session);
  if (!place) {
    return tl::unexpected(place.error());
  }
  promote_before_run(place->path);  // values may come before the first program: makes the store
  const auto opened = open_to_change(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  const Result<std::vector<Change>> changes = changes_of(**opened, request);
  if (!changes) {
    return tl::unexpected(changes.error());
  }
  return change_functions(**opened, [&](FunctionList& list) {
    for (const Change& one : *changes) {
      FunctionEntry& entry = function_in(list, one.place.module, one.place.entry_offset);
      set_errors(entry, one.values);
      entry.by_user = one.values.empty() ? 0 : 1;
    }
  });
}

Outcome show(const Session& session) {
  const auto opened = open_to_look(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  ModuleFinder modules;
  Table table;
  table.column("FUNCTION", Align::left, Fit::cut);
  table.column("PLACE");
  table.column("DECLARED");
  table.column("FAILS WITH");
  Json list = Json::array();
  for (const FunctionEntry& entry : (*opened)->store.functions.entries()) {
    const std::string name = modules.function_name(entry.module, entry.entry_offset);
    const std::string declared = declared_text(entry);
    const std::string errors = errors_text(entry);
    table.row({{name.empty() ? "-" : name},
               {fmt::format("{}+{}", name_of(entry.module), hex(entry.entry_offset))},
               {declared.empty() ? "-" : declared},
               {errors.empty() ? "-" : errors}});
    list.push_back(json_known(entry));
    list.back()["function"] = json_name(name);
  }
  if (session.json) {
    print_json({{"functions", std::move(list)}});
  } else if (list.empty()) {
    fmt::print("nothing is known of any function\n");
  } else {
    fmt::print("{}", table.render(session.terminal));
  }
  return 0;
}

Outcome learn(const Session& session, const Request& request) {
  if (!request.set.empty() || !request.forget.empty()) {
    if (Outcome done = change(session, request); !done) {
      return done;
    }
  }
  return show(session);
}

}  // namespace

void add_learn(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("learn", "Learn what functions return when they fail");
  const auto request = std::make_shared<Request>();
  command->footer(examples);
  command->add_option("--set", request->set, "What a function fails with, by your word")
      ->type_name("PLACE=VALUE")
      ->allow_extra_args(false);
  command->add_option("--forget", request->forget, "Forget what a function fails with")
      ->type_name("PLACE")
      ->allow_extra_args(false);
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session, request] {
    session.action = [&session, request] { return learn(session, *request); };
  });
}

}  // namespace selfheal::cli
