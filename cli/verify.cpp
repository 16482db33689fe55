// selfheal verify: tries every candidate of a region out, on fresh copies of the server, and keeps
// what was seen: ASSURE's tested patch.
#include <cmath>
#include <cstring>
#include <fmt/core.h>
#include <memory>

#include "cli/candidates.h"
#include "cli/catalog_change.h"
#include "cli/help.h"
#include "cli/region_json.h"
#include "cli/rehearsal.h"
#include "cli/session.h"

namespace selfheal::cli {
namespace {

using store::Candidate;
using store::CatalogEntry;
using store::ValueSlot;
using store::Verdict;

constexpr const char* examples =
    "Examples:\n"
    "  selfheal verify 4f2a --request 'curl -s localhost:8080/bad' -- ./server -p 8080\n"
    "  selfheal verify 4f2a --request-file bad.http --port 8080 \\\n"
    "      --check 'curl -sf localhost:8080/health' -- ./server -p 8080\n"
    "  selfheal verify 4f2a --input requests.txt --check './same-state' -- ./server\n"
    "\n"
    "Each candidate (`selfheal info` lists them) gets a server of its own, in a store of its own.\n"
    "It is asked what makes it fault, checked, asked a few times more, and ended. The check is\n"
    "yours: it finds the answer in the file $SELFHEAL_ANSWER, and the request's exit status in\n"
    "$SELFHEAL_ANSWER_STATUS. What heals is used from then on, the innermost function first.\n"
    "\n"
    "Exit status: 0 when a candidate heals, 1 when none does or the fault does not come.\n";

struct Request {
  std::string id;
  Reproducer reproducer;
  double timeout = 10;
  bool first = false;
};

struct Tried {
  Candidate candidate;
  std::string function;
  std::string returns;
  Rehearsal seen;
};

Outcome usage_problem(const Session& session, const Request& request) {
  const Reproducer& with = request.reproducer;
  if (!session.has_separator || session.program.empty()) {
    return fail("say what to run after `--`: selfheal verify ID ... -- PROGRAM ARGUMENTS",
                exit_usage);
  }
  const int ways = (with.request.empty() ? 0 : 1) + (with.request_file.empty() ? 0 : 1) +
                   (with.input.empty() ? 0 : 1);
  if (ways != 1) {
    return fail("say what makes it fault, with one of --request, --request-file and --input",
                exit_usage);
  }
  if (!with.request_file.empty() && with.port == 0) {
    return fail("--request-file needs the --port it is sent to", exit_usage);
  }
  return 0;
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{:.1f} s", static_cast<double>(time.count()) / 1000);
}

// The catalog's entry with what was seen so far: the best values that were returned decide which
// others there are.
class Verification {
 public:
  Verification(const Session& session, const Request& request, const OpenStore& live,
               const CatalogEntry& entry, ModuleFinder& modules)
      : session_(session), request_(request), live_(live), entry_(entry), modules_(modules) {
    for (auto& level : entry_.verdicts) {
      for (Verdict& verdict : level) {
        verdict = Verdict::none;
      }
    }
  }

  Outcome run() {
    for (u8 level = 0; level < store::level_count(entry_); ++level) {
      for (u8 slot = 0; slot < store::values_a_level; ++slot) {
        const Candidate candidate{level, static_cast<ValueSlot>(slot)};
        if (!store::usable(entry_, candidate)) {
          continue;
        }
        if (const Outcome tried = try_out(candidate); !tried) {
          return tried;
        }
        if (request_.first && any_healed_) {
          return 0;
        }
      }
    }
    return 0;
  }

  bool any_healed() const { return any_healed_; }
  bool reproduced() const { return reproduced_; }
  const std::vector<Tried>& tried() const { return tried_; }
  const CatalogEntry& entry() const { return entry_; }

 private:
  Outcome try_out(Candidate candidate) {
    const std::string function = function_at(candidate);
    if (!session_.json) {
      fmt::print("level {}, {}, {}: ", candidate.level, function, store::name_of(candidate.slot));
      std::fflush(stdout);
    }
    const Result<Rehearsal> seen = rehearse(live_, entry_, candidate, request_.reproducer);
    if (!seen) {
      if (!session_.json) {
        fmt::print("-\n");
      }
      return tl::unexpected(seen.error());
    }
    keep(candidate, *seen);
    tried_.push_back({candidate, function, value_text(entry_, candidate), *seen});
    if (!session_.json) {
      fmt::print(
          "{}{} ({})\n",
          session_.terminal.paint(seen->verdict == Verdict::healed ? Colour::green : Colour::red,
                                  store::name_of(seen->verdict)),
          seen->detail.empty() ? "" : ": " + seen->detail, seconds_text(seen->took));
      std::fflush(stdout);
    }
    return 0;
  }

  void keep(Candidate candidate, const Rehearsal& seen) {
    store::verdict_of(entry_, candidate) = seen.verdict;
    any_healed_ = any_healed_ || seen.verdict == Verdict::healed;
    reproduced_ = reproduced_ || seen.reproduced || seen.verdict == Verdict::crashed;
    if (candidate.slot == ValueSlot::best && seen.reproduced) {
      entry_.best_values[candidate.level] = seen.value;
      entry_.best_reasons[candidate.level] = seen.reason;
    }
    if (seen.unfit && candidate.level != 0) {
      entry_.unfit_levels |= static_cast<u8>(1U << candidate.level);
    }
  }

  std::string function_at(Candidate candidate) const {
    for (const CandidateView& view : candidates_of(entry_, modules_)) {
      if (view.candidate.level == candidate.level) {
        return view.function;
      }
    }
    return "?";
  }

  const Session& session_;
  const Request& request_;
  const OpenStore& live_;
  CatalogEntry entry_;
  ModuleFinder& modules_;
  std::vector<Tried> tried_;
  bool any_healed_ = false;
  bool reproduced_ = false;
};

// Into the live store, once and at the end. Its scores have gone on meanwhile.
Outcome write_back(OpenStore& live, const CatalogEntry& verified, CatalogEntry& now) {
  return change_catalog(live.store, [&](store::CatalogEditor& editor) {
    CatalogEntry* const entry = editor.find(verified.id);
    if (entry == nullptr || entry->level_frames != verified.level_frames) {
      return;  // forgotten, or of another stack now
    }
    std::memcpy(entry->verdicts, verified.verdicts, sizeof entry->verdicts);
    std::memcpy(entry->best_values, verified.best_values, sizeof entry->best_values);
    std::memcpy(entry->best_reasons, verified.best_reasons, sizeof entry->best_reasons);
    entry->unfit_levels |= verified.unfit_levels;
    store::move_on(*entry);
    now = *entry;
  });
}

Json json_of(const Tried& tried) {
  return {{"level", tried.candidate.level},
          {"function", tried.function},
          {"value", store::name_of(tried.candidate.slot)},
          {"verdict", store::name_of(tried.seen.verdict)},
          {"detail", tried.seen.detail},
          {"reproduced", tried.seen.reproduced},
          {"seconds", static_cast<double>(tried.seen.took.count()) / 1000}};
}

Outcome conclude(const Session& session, const Verification& verification,
                 const CatalogEntry& now) {
  const Candidate chosen = store::in_use(now);
  if (session.json) {
    Json list = Json::array();
    for (const Tried& tried : verification.tried()) {
      list.push_back(json_of(tried));
    }
    print_json({{"id", id_text(now.id)},
                {"reproduced", verification.reproduced()},
                {"healed", verification.any_healed()},
                {"candidates", std::move(list)},
                {"in_use", {{"level", chosen.level}, {"value", store::name_of(chosen.slot)}}}});
  } else if (verification.any_healed()) {
    fmt::print("in use from now on: level {}, {}{}\n", chosen.level, value_text(now, chosen),
               now.level_by_user != 0 ? " (set by the user)" : "");
  }
  if (verification.any_healed()) {
    return 0;
  }
  return fail(
      verification.reproduced()
          ? "no candidate heals it; the catalog says what was seen of each"
          : "the request does not make this region fault; see `selfheal info` for what did");
}

Outcome verify(const Session& session, Request& request) {
  if (const Outcome usage = usage_problem(session, request); !usage) {
    return usage;
  }
  const auto opened = open_to_change(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  const Result<std::vector<Region>> regions = chosen_regions(**opened, {request.id});
  if (!regions) {
    return tl::unexpected(regions.error());
  }
  const Result<std::string> program = find_program(session.program.front());
  if (!program) {
    return fail(program.error().message);
  }
  request.reproducer.server = {*program, session.program, current_environment()};
  request.reproducer.timeout =
      std::chrono::milliseconds(static_cast<long>(std::ceil(request.timeout * 1000)));
  ModuleFinder modules(std::vector<std::string>{*program});
  Verification verification(session, request, **opened, regions->front().entry, modules);
  if (const Outcome tried = verification.run(); !tried) {
    return tried;
  }
  CatalogEntry now = verification.entry();
  if (!verification.reproduced()) {
    return conclude(session, verification, now);
  }
  if (const Outcome written = write_back(**opened, verification.entry(), now); !written) {
    return written;
  }
  return conclude(session, verification, now);
}

}  // namespace

void add_verify(CLI::App& app, Session& session) {
  CLI::App* command =
      app.add_subcommand("verify", "Try out what heals a fault, with a request that causes it");
  const auto request = std::make_shared<Request>();
  command->formatter(std::make_shared<HelpFormatter>(
      "Usage: selfheal verify ID [OPTIONS] -- PROGRAM [ARGUMENTS]"));
  command->footer(examples);
  Reproducer& with = request->reproducer;
  command->add_option("ID", request->id, "The region's id, or its first digits")->required();
  const auto text = [&](const char* name, std::string& value, const char* type, const char* help) {
    return command->add_option(name, value, help)->type_name(type);
  };
  text("--request", with.request, "COMMAND", "Asks the server what makes it fault");
  text("--request-file", with.request_file, "FILE", "A recorded request, sent to --port")
      ->check(CLI::ExistingFile);
  command->add_option("--port", with.port, "Where it listens, on 127.0.0.1")
      ->type_name("PORT")
      ->check(CLI::Range(1, 65535));
  text("--input", with.input, "FILE", "The program's standard input, which it works on to its end")
      ->check(CLI::ExistingFile);
  text("--check", with.check, "COMMAND", "Status 0: the answer, and the server's state, are right");
  text("--ready", with.ready, "COMMAND",
       "Status 0: the server can be asked; otherwise when it listens, or waits");
  command->add_option("--timeout", request->timeout, "For each request, check and start")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--repeat", with.repeat, "Further requests, to see what grows")
      ->type_name("N")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command->add_flag("--first", request->first, "Be content with the first that heals");
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session, request] {
    session.action = [&session, request] { return verify(session, *request); };
  });
}

}  // namespace selfheal::cli
