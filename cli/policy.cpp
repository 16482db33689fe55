// selfheal policy: rules for many functions at once, from TOML files.
#include <cstring>
#include <fmt/core.h>
#include <memory>

#include "cli/catalog_change.h"
#include "cli/decision.h"
#include "cli/format.h"
#include "cli/policy_file.h"
#include "cli/session.h"
#include "cli/store_access.h"
#include "cli/store_file.h"
#include "cli/table.h"
#include "lib/store/checksum.h"
#include "lib/store/files.h"

namespace selfheal::cli {
namespace {

using store::Rule;

constexpr const char* apply_examples =
    "Examples:\n"
    "  selfheal policy apply                  what /etc/selfheal and ~/.config/selfheal say\n"
    "  selfheal policy apply ./policy.toml    these rules instead\n"
    "\n"
    "Programs that are started afterwards go by them. docs/policy.md has the format.\n";

constexpr const char* check_examples =
    "Examples:\n"
    "  selfheal policy check ./policy.toml    is it understood?\n";

constexpr const char* show_examples =
    "Examples:\n"
    "  selfheal policy show                                     all rules in force\n"
    "  selfheal policy show --module pam_unix.so                those that fit, and what they say\n"
    "  selfheal policy show --program nginx --module nginx --function ngx_http_auth\n";

struct Files {
  std::vector<std::string> names;  // given; empty: where policy is looked for

  Result<std::vector<Rule>> read() const {
    std::vector<std::filesystem::path> paths(names.begin(), names.end());
    if (paths.empty()) {
      paths = policy_files();
    }
    std::vector<Rule> rules;
    for (const auto& path : paths) {
      const Result<std::vector<Rule>> more = read_policy_file(path);
      if (!more) {
        return tl::unexpected(more.error());
      }
      rules.insert(rules.end(), more->begin(), more->end());
    }
    if (rules.size() > store::max_rules) {
      return fail(fmt::format("{} rules are more than the {} that fit; put patterns together",
                              rules.size(), store::max_rules));
    }
    return rules;
  }
};

std::vector<char> file_of(const std::vector<Rule>& rules) {
  store::RuleHeader header{};
  header.magic = store::rules_magic;
  header.version = store::rules_version;
  header.rule_size = sizeof(Rule);
  header.count = static_cast<u32>(rules.size());
  header.written_ns = now_ns();
  header.checksum = store::rules_checksum(header, rules.data());
  std::vector<char> bytes(sizeof header + rules.size() * sizeof(Rule));
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!rules.empty()) {
    std::memcpy(bytes.data() + sizeof header, rules.data(), rules.size() * sizeof(Rule));
  }
  return bytes;
}

Outcome write_rules(OpenStore& opened, const std::vector<Rule>& rules) {
  const std::vector<char> bytes = file_of(rules);
  long result = 0;
  const auto write = [&](store::CatalogEditor& editor) {
    result = replace_file(editor, store::rules_name, bytes);
  };
  if (Outcome done = change_catalog(opened.store, write); !done) {
    return done;
  }
  if (result < 0) {
    return fail(fmt::format("{}/{}: it cannot be written ({}); the old rules are still in place",
                            opened.place.path, store::rules_name, store::reason_of(result)));
  }
  return 0;
}

store::Decision decision_of(const Rule& rule) {
  return {rule.mode,           rule.percent_set != 0 ? rule.percent : u8{100},
          rule.value_set != 0, rule.error_set != 0,
          rule.level_set != 0, rule.level,
          rule.error_number,   rule.value};
}

std::string any_or(const char* pattern) {
  return pattern[0] == '\0' ? "*" : printable(pattern);
}

Json json_of(const Rule& rule, bool built_in) {
  Json result = {{"built_in", built_in},
                 {"program", any_or(rule.program)},
                 {"module", any_or(rule.module)},
                 {"function", any_or(rule.function)},
                 {"mode", rule.mode == store::RuleMode::unset ? Json() : Json(name_of(rule.mode))}};
  result["value"] = rule.value_set != 0 ? Json(static_cast<i64>(rule.value)) : Json();
  result["errno"] = rule.error_set != 0 ? Json(rule.error_number) : Json();
  result["level"] = rule.level_set != 0 ? Json(rule.level) : Json();
  result["heal_percent"] = rule.percent_set != 0 ? Json(rule.percent) : Json();
  return result;
}

Outcome apply(const Session& session, const Files& files) {
  const Result<std::vector<Rule>> rules = files.read();
  if (!rules) {
    return tl::unexpected(rules.error());
  }
  const Result<StorePlace> place = locate_store(session);
  if (!place) {
    return tl::unexpected(place.error());
  }
  promote_before_run(place->path);  // rules may come before the first program: makes the store
  const auto opened = open_to_change(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  if (Outcome done = write_rules(**opened, *rules); !done) {
    return done;
  }
  if (session.json) {
    print_json({{"rules", rules->size()}, {"store", (*opened)->place.path}});
  } else {
    fmt::print("{} {} in force for programs started from now on\n", rules->size(),
               rules->size() == 1 ? "rule is" : "rules are");
  }
  return 0;
}

Outcome check(const Session& session, const Files& files) {
  const Result<std::vector<Rule>> rules = files.read();
  if (!rules) {
    return tl::unexpected(rules.error());
  }
  if (session.json) {
    print_json({{"rules", rules->size()}});
  } else {
    fmt::print("{} {} understood\n", rules->size(), rules->size() == 1 ? "rule" : "rules");
  }
  return 0;
}

struct Question {
  std::string program, module, function;
  bool asked() const { return !program.empty() || !module.empty() || !function.empty(); }
};

Outcome show(const Session& session, const Question& question) {
  const auto opened = open_to_look(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  const ModuleId no_id{};
  const store::RuleSubject subject{question.program, question.module, question.function, no_id};
  store::Decision decision;
  Table table;
  for (const char* title : {"ORDER", "PROGRAM", "MODULE", "FUNCTION", "WHAT IS DONE"}) {
    table.column(title);
  }
  Json list = Json::array();
  const auto add = [&](std::span<const Rule> rules, bool built_in) {
    store::decide(rules, subject, decision);
    for (size_t i = 0; i < rules.size(); ++i) {
      if (question.asked() && !store::fits(rules[i], subject)) {
        continue;
      }
      table.row({{built_in ? "built-in" : std::to_string(i + 1)},
                 {any_or(rules[i].program)},
                 {any_or(rules[i].module)},
                 {any_or(rules[i].function)},
                 {action_of(decision_of(rules[i]))}});
      list.push_back(json_of(rules[i], built_in));
    }
  };
  add(store::built_in_rules(), true);
  add((*opened)->store.rules.list(), false);
  if (session.json) {
    Json document = {{"rules", std::move(list)}};
    document["decision"] = question.asked() ? Json(name_of(decision.mode)) : Json();
    print_json(document);
    return 0;
  }
  fmt::print("{}", table.render(session.terminal));
  if (question.asked()) {
    fmt::print("{}together: {}\n", list.empty() ? "no rule fits; " : "", action_of(decision));
  }
  return 0;
}

CLI::App* add_command(CLI::App& policy, Session& session, const char* name, const char* help,
                      const char* examples) {
  CLI::App* command = policy.add_subcommand(name, help);
  command->footer(examples);
  add_store_option(*command, session);
  add_json_option(*command, session);
  return command;
}

}  // namespace

void add_policy(CLI::App& app, Session& session) {
  CLI::App* policy = app.add_subcommand("policy", "Rules of what is healed, from TOML files");
  policy->require_subcommand(1);
  const auto files = std::make_shared<Files>();
  const auto question = std::make_shared<Question>();

  CLI::App* command = add_command(*policy, session, "apply", "Put rules in force", apply_examples);
  command->add_option("FILE", files->names, "TOML files, the last has the last word");
  command->callback(
      [&session, files] { session.action = [&session, files] { return apply(session, *files); }; });

  command =
      add_command(*policy, session, "check", "See whether rules are understood", check_examples);
  command->add_option("FILE", files->names, "TOML files");
  command->callback(
      [&session, files] { session.action = [&session, files] { return check(session, *files); }; });

  command = add_command(*policy, session, "show", "Show the rules in force", show_examples);
  command->add_option("--program", question->program, "Only those that fit this program");
  command->add_option("--module", question->module, "... this module");
  command->add_option("--function", question->function, "... this function");
  command->callback([&session, question] {
    session.action = [&session, question] { return show(session, *question); };
  });
}

}  // namespace selfheal::cli
