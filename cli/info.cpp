// selfheal info ID: everything recorded of one region.
#include <fmt/core.h>
#include <memory>
#include <optional>

#include "cli/candidates.h"
#include "cli/decision.h"
#include "cli/evidence.h"
#include "cli/known_functions.h"
#include "cli/region_json.h"
#include "cli/session.h"
#include "cli/site_code.h"
#include "lib/store/catalog.h"

namespace selfheal::cli {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  selfheal info 4f2a90c1e7d3            the region of that id, as `selfheal list` shows it\n"
    "  selfheal info 4f                      the first digits do if they are unique\n"
    "  selfheal info 4f --binary ./server    where the module is no longer where it was\n"
    "  selfheal info 4f --json | jq .last_fault.stack\n"
    "\n"
    "Code is shown only from a file whose build-id (or contents) is the recorded one.\n";

struct Request {
  std::string id;
  std::vector<std::string> binaries;
};

// All there is to show.
struct Dossier {
  Region region;
  Evidence evidence;
  FaultRecord fault;   // the last one, or what the catalog keeps of it
  bool whole = false;  // it is a whole record, registers included
  store::Decision decision;
  RecordModule site_module;
  const ModuleFile* site_file = nullptr;
  std::vector<CodeLine> code;
  std::optional<store::FunctionEntry> known;  // of the function itself
};

Dossier dossier_of(const OpenStore& opened, const Region& region, ModuleFinder& modules) {
  Dossier result;
  result.region = region;
  result.evidence = collect_evidence(opened, region.entry);
  if (const store::FunctionEntry* known = opened.store.functions.find(
          region.entry.module.id, region.entry.entry_offset, region.entry.code_hash)) {
    result.known = *known;
  }
  result.decision = decision_on(opened, region.entry, modules);
  result.whole = result.evidence.last_fault.has_value();
  result.fault = result.whole ? *result.evidence.last_fault : fault_from(region.entry);
  const CodeRef& site = result.fault.site;
  result.site_module = region.entry.module;
  if (site.module < result.fault.module_count && site.module < max_record_modules) {
    result.site_module = result.fault.modules[site.module];
  }
  result.site_file = modules.find(result.site_module);
  if (result.site_file != nullptr) {
    const bool same_module = result.site_module.id == region.entry.module.id;
    const auto function = result.site_file->elf.function_at(site.offset);
    u64 start = same_module ? region.entry.entry_offset : site.offset;
    if (!same_module && function) {
      start = function->start;
    }
    result.code = code_around(result.site_file->elf, start, site.offset);
  }
  return result;
}

report::Outlook outlook_of(const Dossier& dossier) {
  return outlook_of(dossier.region, dossier.fault, dossier.decision);
}

std::string remedy_text(const store::CatalogEntry& entry) {
  std::string text;
  for (const Remedy remedy : all_remedies) {
    if (has_remedy(entry.remedies, remedy)) {
      text += (text.empty() ? "" : ", ") + std::string(name_of(remedy));
    }
  }
  return (text.empty() ? name_of(Remedy::engine) : text) +
         (entry.remedies_by_user != 0 ? " (set by the user)" : "");
}

void print_region(const Session& session, const Dossier& dossier, ModuleFinder& modules) {
  const store::CatalogEntry& entry = dossier.region.entry;
  const std::string function = modules.function_name(entry.module, entry.entry_offset);
  const auto row = [&](std::string_view label, const std::string& text) {
    fmt::print("{}  {}\n", session.terminal.paint(Colour::dim, fmt::format("{:<10}", label)), text);
  };
  fmt::print("{}\n", session.terminal.paint(Colour::bold, "region " + id_text(entry.id)));
  row("function", fmt::format("{}{}+{}, {} bytes", function.empty() ? "" : function + ", ",
                              name_of(entry.module), hex(entry.entry_offset), entry.size));
  row("module",
      fmt::format("{} {}",
                  entry.module.id.kind == ModuleIdKind::content_hash ? "content hash" : "build-id",
                  id_digits_of(entry.module.id)));
  row("code hash", hex(entry.code_hash));
  row("state", fmt::format("{}, policy {}{}, level {}{}",
                           dossier.region.pending ? "pending"
                           : entry.enabled != 0   ? "enabled"
                                                  : "disabled",
                           store::name_of(entry.policy),
                           entry.policy_by_user != 0 ? " (set by the user)" : "", entry.level,
                           entry.level_by_user != 0 ? " (set by the user)" : ""));
  row("remedy", remedy_text(entry));
  row("by rules", action_of(dossier.decision));
  if (entry.value_set != 0) {
    row("value", fmt::format("{} (set by the user)", hex(entry.value)));
  }
  if (entry.error_set != 0) {
    row("errno", fmt::format("{} (set by the user)", entry.error_number));
  }
  if (dossier.known) {
    const std::string declared = declared_text(*dossier.known);
    const std::string errors = errors_text(*dossier.known);
    if (!declared.empty()) {
      row("declared", declared);
    }
    if (!errors.empty()) {
      row("fails with", errors);
    }
  }
  const u64 now = now_ns();
  row("faults",
      fmt::format("{}, first {} ({}), last {}", entry.fault_count, utc_time(entry.first_seen_ns),
                  age(entry.first_seen_ns, now), age(entry.last_seen_ns, now)));
  row("heals", entry.heal_count == 0
                   ? "0"
                   : fmt::format("{}, last {}", entry.heal_count, age(entry.last_heal_ns, now)));
  const Evidence& evidence = dossier.evidence;
  if (evidence.healed + evidence.eager + evidence.left_to_die != 0) {
    row("outcomes", fmt::format("{} rolled back, {} recovered by unwinding, {} left to die",
                                evidence.healed, evidence.eager, evidence.left_to_die));
  }
  if (evidence.simulated != 0) {
    row("simulated", fmt::format("{} would have been healed", evidence.simulated));
  }
  if (evidence.unprotected != 0) {
    row("unprotected",
        fmt::format("its undo log was full, in {} {}: see the option log-megabytes",
                    evidence.unprotected, evidence.unprotected == 1 ? "process" : "processes"));
  }
}

void print_candidates(const Session& session, const Dossier& dossier, ModuleFinder& modules) {
  const std::string table = candidate_table(dossier.region.entry, modules, session.terminal);
  if (!table.empty()) {
    fmt::print("\n{}\n{}", session.terminal.paint(Colour::bold, "candidates"), table);
  }
}

void print_code(const Session& session, const Dossier& dossier) {
  if (dossier.site_file == nullptr) {
    fmt::print("No file with {}'s build-id was found: no code to show; name one with --binary.\n",
               name_of(dossier.site_module));
    return;
  }
  fmt::print("{} of {}\n", session.terminal.paint(Colour::bold, "code"), dossier.site_file->path);
  for (const CodeLine& line : dossier.code) {
    const std::string text = fmt::format("{} {:>10x}  {:<30} {}", line.is_site ? "=>" : "  ",
                                         line.offset, line.bytes, line.text);
    fmt::print("{}\n", line.is_site ? session.terminal.paint(Colour::red, text) : text);
  }
}

void print_text(const Session& session, const Dossier& dossier, ModuleFinder& modules) {
  print_region(session, dossier, modules);
  print_candidates(session, dossier, modules);
  fmt::print("\n{} {}\n", session.terminal.paint(Colour::bold, "last crash"),
             utc_time(dossier.fault.time_ns));
  if (!dossier.whole) {
    fmt::print("(its record is gone from the history; this is what the catalog keeps)\n");
  }
  fmt::print("{}\n", report_text(dossier.fault, outlook_of(dossier), modules));
  print_code(session, dossier);
  if (dossier.evidence.last_heal) {
    const HealRecord& heal = *dossier.evidence.last_heal;
    fmt::print("\n{} {}\n{}", session.terminal.paint(Colour::bold, "last heal"),
               utc_time(heal.time_ns), report_text(heal, modules));
  }
}

void print_document(const Dossier& dossier, ModuleFinder& modules) {
  Json document = json_region(dossier.region, modules);
  const Evidence& evidence = dossier.evidence;
  document["candidates"] = json_candidates(dossier.region.entry, modules);
  document["known"] = dossier.known ? json_known(*dossier.known) : Json(nullptr);
  document["outcomes"] = {{"healed", evidence.healed},
                          {"eager", evidence.eager},
                          {"left_to_die", evidence.left_to_die},
                          {"unprotected", evidence.unprotected},
                          {"simulated", evidence.simulated}};
  document["last_fault"] =
      json_fault(dossier.fault, report_text(dossier.fault, outlook_of(dossier), modules), modules);
  document["decision"] = name_of(dossier.decision.mode);
  if (!dossier.whole) {
    document["last_fault"]["registers"] = nullptr;
  }
  document["last_heal"] = nullptr;
  if (evidence.last_heal) {
    document["last_heal"] =
        json_heal(*evidence.last_heal, report_text(*evidence.last_heal, modules), modules);
  }
  document["module_file"] =
      dossier.site_file != nullptr ? Json(dossier.site_file->path) : Json(nullptr);
  Json code = Json::array();
  for (const CodeLine& line : dossier.code) {
    code.push_back({{"offset", hex(line.offset)},
                    {"bytes", line.bytes},
                    {"text", line.text},
                    {"site", line.is_site}});
  }
  document["code"] = std::move(code);
  print_json(document);
}

Outcome info(const Session& session, const Request& request) {
  const auto opened = open_to_look(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  const Regions regions = (*opened)->exists ? read_regions(**opened) : Regions{};
  const Result<const Region*> region = find_region(regions, request.id);
  if (!region) {
    return tl::unexpected(region.error());
  }
  ModuleFinder modules(request.binaries);
  const Dossier dossier = dossier_of(**opened, **region, modules);
  if (session.json) {
    print_document(dossier, modules);
  } else {
    print_text(session, dossier, modules);
  }
  return 0;
}

}  // namespace

void add_info(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("info", "Show all that is known of one of them");
  const auto request = std::make_shared<Request>();
  command->footer(examples);
  command->add_option("ID", request->id, "The region's id, or its first digits")->required();
  command->add_option("--binary", request->binaries, "Look for the recorded build in this file too")
      ->type_name("PATH")
      ->allow_extra_args(false);
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session, request] {
    session.action = [&session, request] { return info(session, *request); };
  });
}

}  // namespace selfheal::cli
