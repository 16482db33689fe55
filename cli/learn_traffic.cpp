#include "cli/learn_traffic.h"

#include <fmt/core.h>

#include "cli/catalog_change.h"
#include "cli/known_functions.h"
#include "cli/learned_values.h"
#include "cli/server_process.h"
#include "cli/timed_command.h"
#include "cli/wait_status.h"
#include "lib/base/function_name.h"

namespace selfheal::cli {
namespace {

using store::Period;
using store::WatchRequest;

template <size_t size>
bool fill(char (&out)[size], std::string_view from) {
  if (from.size() >= size) {
    return false;
  }
  from.copy(out, from.size());
  return true;
}

Result<WatchRequest> watch_request(const std::string& text) {
  WatchRequest request{};
  FunctionName name;
  bool good = split_function_name(text, name);
  name.module.remove_prefix(name.module.find_last_of('/') + 1);
  good = good && !name.module.empty() && fill(request.module, name.module) &&
         fill(request.function, name.function);
  if (good && name.function.empty()) {
    const std::optional<i64> offset = number_in(std::string(name.offset));
    good = offset.has_value();
    request.offset = static_cast<u64>(offset.value_or(0));
  }
  if (!good) {
    return fail(fmt::format("--function: '{}' is neither MODULE!FUNCTION nor MODULE+0xOFFSET",
                            printable(text)),
                exit_usage);
  }
  return request;
}

// A change of the catalog in which nothing changes: everybody looks.
Outcome tell_processes(OpenStore& opened) {
  return change_catalog(opened.store, [](store::CatalogEditor&) {});
}

Outcome run_traffic(const char* what, const std::string& command, const Traffic& traffic,
                    ServerProcess& server) {
  if (command.empty()) {
    return 0;
  }
  const CommandEnd end = run_command(command, current_environment(), traffic.timeout);
  if (end.late) {
    return fail(fmt::format("the {} traffic does not end; see --timeout", what));
  }
  if (end.wait_status != 0) {
    warn(fmt::format("the command of the {} traffic {}", what, ending_of(end.wait_status)));
  }
  if (server.ended()) {
    warn(fmt::format("the program ended during the {} traffic ({})", what,
                     ending_of(server.wait_status())));
  }
  return 0;
}

}  // namespace

Result<std::vector<WatchRequest>> watch_requests(const WatchList& list) {
  std::vector<WatchRequest> requests;
  for (const std::string& text : list.functions) {
    const Result<WatchRequest> request = watch_request(text);
    if (!request) {
      return tl::unexpected(request.error());
    }
    requests.push_back(*request);
  }
  if (requests.size() > store::max_watch_requests) {
    return fail(fmt::format("more than {} functions; --all watches those of the program",
                            store::max_watch_requests),
                exit_usage);
  }
  return requests;
}

Outcome mark_period(OpenStore& opened, Period period, const WatchList& list) {
  const Result<std::vector<WatchRequest>> requests = watch_requests(list);
  if (!requests) {
    return tl::unexpected(requests.error());
  }
  const store::Learning& learning = opened.store.learning;
  if (!learning.mapped()) {
    return fail(fmt::format("{}/{}: it cannot be opened", opened.place.path, store::learning_name));
  }
  if (period != Period::off && learning.period() == Period::off) {
    learning.forget_counts();
    learning.set_requests(*requests, list.all);
  }
  learning.set_period(period);
  return tell_processes(opened);
}

Outcome drive(const Session& session, OpenStore& opened, const Traffic& traffic) {
  if (session.program.empty()) {
    return fail(
        "say what to run after `--`: selfheal learn --good COMMAND --bad COMMAND -- PROGRAM",
        exit_usage);
  }
  const Result<std::string> program = find_program(session.program.front());
  if (!program) {
    return tl::unexpected(program.error());
  }
  const Result<Launch> launch = launch_with_library(
      {*program, session.program, current_environment()}, opened.place.path, "learn=on");
  if (!launch) {
    return tl::unexpected(launch.error());
  }
  opened.store.learning.set_period(Period::off);
  if (Outcome done = mark_period(opened, Period::good, traffic.watch); !done) {
    return done;
  }
  ServerProcess server(*launch, "", "");
  const Readiness readiness{traffic.ready, traffic.port, traffic.timeout, current_environment()};
  Outcome done = server.start();
  done = done ? wait_until_ready(server, readiness) : done;
  done = done ? run_traffic("good", traffic.good, traffic, server) : done;
  opened.store.learning.set_period(Period::bad);
  done = done ? run_traffic("bad", traffic.bad, traffic, server) : done;
  const Outcome marked = mark_period(opened, Period::off, {});
  server.end();
  return done ? marked : done;
}

Outcome keep_learned(OpenStore& opened) {
  const std::vector<Watched> all = watched_functions(opened.store.learning);
  return change_functions(opened, [&](FunctionList& list) {
    for (const Watched& watched : all) {
      store::FunctionEntry& entry = function_in(list, watched.module, watched.entry_offset);
      const std::vector<store::SeenValue> errors = error_values(watched);
      if (entry.by_user != 0 || (errors.empty() && watched.calls_good() < least_good_calls)) {
        continue;
      }
      entry.code_hash = watched.code_hash;
      entry.calls_good = watched.calls_good();
      entry.calls_bad = watched.calls_bad();
      entry.learned_ns = now_ns();
      entry.error_count = static_cast<u8>(errors.size());
      for (size_t i = 0; i < store::max_error_values; ++i) {
        entry.errors[i] = i < errors.size()
                              ? store::ErrorValue{errors[i].value, errors[i].good, errors[i].bad}
                              : store::ErrorValue{};
      }
    }
  });
}

}  // namespace selfheal::cli
