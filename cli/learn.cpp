// selfheal learn: what functions return when things go wrong.
#include <algorithm>
#include <fmt/core.h>
#include <memory>

#include "cli/declared_types.h"
#include "cli/function_place.h"
#include "cli/help.h"
#include "cli/known_functions.h"
#include "cli/learn_traffic.h"
#include "cli/learned_values.h"
#include "cli/module_finder.h"
#include "cli/session.h"
#include "cli/table.h"

namespace selfheal::cli {
namespace {

using store::FunctionEntry;

constexpr const char* examples =
    "Examples:\n"
    "  selfheal learn --good ./good.sh --bad ./bad.sh --port 8080 -- ./server -p 8080\n"
    "                                               watch it, and draw conclusions\n"
    "  selfheal learn --mark good                   programs that run with learn=on get what is\n"
    "  selfheal learn --mark bad                    right now, and now what they have to refuse;\n"
    "  selfheal learn --mark off                    that was it: draw conclusions\n"
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
  std::string mark;
  bool types = false;
  Traffic traffic;
  double timeout = 60;

  bool drives() const { return !traffic.good.empty() || !traffic.bad.empty(); }
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

Outcome change(OpenStore& opened, const Request& request) {
  const Result<std::vector<Change>> changes = changes_of(opened, request);
  if (!changes) {
    return tl::unexpected(changes.error());
  }
  return change_functions(opened, [&](FunctionList& list) {
    for (const Change& one : *changes) {
      FunctionEntry& entry = function_in(list, one.place.module, one.place.entry_offset);
      set_errors(entry, one.values);
      entry.by_user = one.values.empty() ? 0 : 1;
    }
  });
}

Table watched_table(const std::vector<Watched>& all, ModuleFinder& modules) {
  Table table;
  table.column("FUNCTION", Align::left, Fit::cut);
  table.column("GOOD TRAFFIC");
  table.column("BAD TRAFFIC");
  table.column("LEARNED");
  for (const Watched& watched : all) {
    const std::string name = modules.function_name(watched.module, watched.entry_offset);
    std::string errors;
    for (const store::SeenValue& error : error_values(watched)) {
      errors += (errors.empty() ? "" : ", ") + value_text(error.value);
    }
    table.row(
        {{name.empty() ? fmt::format("{}+{}", name_of(watched.module), hex(watched.entry_offset))
                       : name},
         {values_text(watched, true)},
         {values_text(watched, false)},
         {errors.empty() ? "-" : errors}});
  }
  return table;
}

// What was seen in the periods marked last, and what is known of functions since then or before.
Outcome show(const Session& session, const OpenStore& opened) {
  ModuleFinder modules;
  Table table;
  table.column("FUNCTION", Align::left, Fit::cut);
  table.column("PLACE");
  table.column("DECLARED");
  table.column("FAILS WITH");
  Json list = Json::array();
  for (const FunctionEntry& entry : opened.store.functions.entries()) {
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
  const std::vector<Watched> watched = watched_functions(opened.store.learning);
  if (session.json) {
    Json seen = Json::array();
    for (const Watched& one : watched) {
      seen.push_back(json_watched(one));
      seen.back()["function"] = json_name(modules.function_name(one.module, one.entry_offset));
    }
    print_json({{"period", store::name_of(opened.store.learning.period())},
                {"watched", std::move(seen)},
                {"left_out", opened.store.learning.left_out()},
                {"functions", std::move(list)}});
    return 0;
  }
  if (!watched.empty()) {
    fmt::print("{}\n", watched_table(watched, modules).render(session.terminal));
  }
  if (list.empty()) {
    fmt::print("nothing is known of any function\n");
  } else {
    fmt::print("{}", table.render(session.terminal));
  }
  return 0;
}

Result<store::Period> period_named(const std::string& name) {
  for (const store::Period period : {store::Period::off, store::Period::good, store::Period::bad}) {
    if (name == store::name_of(period)) {
      return period;
    }
  }
  return fail("--mark: '" + printable(name) + "' is none of good, bad, off", exit_usage);
}

Outcome observe(const Session& session, const Request& request, OpenStore& opened) {
  if (request.drives()) {
    if (Outcome done = drive(session, opened, request.traffic); !done) {
      return done;
    }
    return keep_learned(opened);
  }
  const Result<store::Period> period = period_named(request.mark);
  if (!period) {
    return tl::unexpected(period.error());
  }
  if (Outcome done = mark_period(opened, *period, request.traffic.watch); !done) {
    return done;
  }
  return *period == store::Period::off ? keep_learned(opened) : Outcome(0);
}

Outcome learn(const Session& session, const Request& request) {
  const bool observes = request.drives() || !request.mark.empty();
  const bool changes = !request.set.empty() || !request.forget.empty() || request.types;
  if (!observes && session.has_separator) {
    return fail("say what traffic the program gets, with --good and --bad", exit_usage);
  }
  if (observes || changes) {
    const Result<StorePlace> place = locate_store(session);
    if (!place) {
      return tl::unexpected(place.error());
    }
    promote_before_run(place->path);  // this may come before the first program: makes the store
  }
  const auto opened = open_to_learn(session, observes || changes);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  Outcome done = 0;
  if (changes) {
    done = change(**opened, request);
  }
  if (done && request.types) {
    done = read_declared_types(**opened);
  }
  if (done && observes) {
    done = observe(session, request, **opened);
  }
  return done ? show(session, **opened) : done;
}

}  // namespace

void add_learn(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("learn", "Learn what functions return when they fail");
  const auto request = std::make_shared<Request>();
  command->formatter(
      std::make_shared<HelpFormatter>("Usage: selfheal learn [OPTIONS] [-- PROGRAM [ARGUMENTS]]"));
  command->footer(examples);
  command->add_option("--set", request->set, "What a function fails with, by your word")
      ->type_name("PLACE=VALUE")
      ->allow_extra_args(false);
  command->add_option("--forget", request->forget, "Forget what a function fails with")
      ->type_name("PLACE")
      ->allow_extra_args(false);
  Traffic& traffic = request->traffic;
  command->add_option("--good", traffic.good, "Command that asks the program for what is right")
      ->type_name("COMMAND");
  command->add_option("--bad", traffic.bad, "Command that asks it for what it has to refuse")
      ->type_name("COMMAND");
  command->add_option("--mark", request->mark, "Say what programs with learn=on get from now on")
      ->type_name("good|bad|off");
  command->add_option("--function", traffic.watch.functions, "Watch this function, too")
      ->type_name("MODULE!FUNCTION|MODULE+0xOFFSET")
      ->allow_extra_args(false);
  command->add_flag("--all", traffic.watch.all, "Watch all functions of the program itself");
  command->add_flag("--types", request->types,
                    "Read what regions and their levels are declared to return, where there is "
                    "debug information");
  command->add_option("--ready", traffic.ready, "Ends with status 0 when the program can be asked")
      ->type_name("COMMAND");
  command->add_option("--port", traffic.port, "It can be asked when somebody listens there")
      ->type_name("PORT");
  command->add_option("--timeout", request->timeout, "For each of these commands")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session, request] {
    request->traffic.timeout =
        std::chrono::milliseconds(static_cast<long>(request->timeout * 1000));
    session.action = [&session, request] { return learn(session, *request); };
  });
}

}  // namespace selfheal::cli
