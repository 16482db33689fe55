// selfheal forget: takes regions out of the catalog. They come back when they crash again.
#include <algorithm>
#include <fmt/core.h>
#include <memory>

#include "cli/catalog_change.h"
#include "cli/format.h"
#include "cli/module_finder.h"
#include "cli/regions.h"
#include "cli/session.h"

namespace selfheal::cli {
namespace {

constexpr const char* examples =
    "Examples:\n"
    "  selfheal forget 4f2a                  one region\n"
    "  selfheal forget --module mod_php.so   all regions of a module\n"
    "  selfheal forget --kind divide --older-than 30d\n"
    "  selfheal forget --all\n"
    "\n"
    "Filters must all hold. Forgotten regions run natively again, in running processes too; the\n"
    "history keeps their records. A region that crashes again is recorded anew.\n";

struct Request {
  std::vector<std::string> ids;
  std::string module;
  std::string kind;
  std::string older_than;
  bool all = false;
};

// "90s", "15m", "36h", "30d".
Result<u64> duration_ns(const std::string& text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    ++digits;
  }
  const std::string unit = text.substr(digits);
  const u64 seconds = unit == "s"   ? 1
                      : unit == "m" ? 60
                      : unit == "h" ? 3600
                      : unit == "d" ? 86400
                                    : 0;
  if (digits == 0 || digits > 6 || seconds == 0) {
    return fail(fmt::format("'{}' is no age; write a number and s, m, h or d: 30d", text),
                exit_usage);
  }
  return std::stoull(text.substr(0, digits)) * seconds * 1'000'000'000;
}

bool is_kind(const std::string& name) {
  for (unsigned i = 1; i <= static_cast<unsigned>(last_fault_kind); ++i) {
    if (name == name_of(static_cast<FaultKind>(i))) {
      return true;
    }
  }
  return false;
}

std::string known_kinds() {
  std::string result;
  for (unsigned i = 1; i <= static_cast<unsigned>(last_fault_kind); ++i) {
    result += (i == 1 ? "" : ", ") + std::string(name_of(static_cast<FaultKind>(i)));
  }
  return result;
}

Result<std::vector<Region>> chosen(const Regions& regions, const Request& request) {
  std::vector<Region> result;
  if (!request.ids.empty()) {
    for (const std::string& id : request.ids) {
      const Result<const Region*> region = find_region(regions, id);
      if (!region) {
        return tl::unexpected(region.error());
      }
      result.push_back(**region);
    }
    return result;
  }
  u64 oldest_kept = ~u64{0};
  if (!request.older_than.empty()) {
    const Result<u64> age = duration_ns(request.older_than);
    if (!age) {
      return tl::unexpected(age.error());
    }
    const u64 now = now_ns();
    oldest_kept = now > *age ? now - *age : 0;
  }
  std::copy_if(regions.regions.begin(), regions.regions.end(), std::back_inserter(result),
               [&](const Region& region) {
                 const store::CatalogEntry& entry = region.entry;
                 const u64 last = std::max(entry.last_seen_ns, entry.last_heal_ns);
                 return (request.module.empty() || name_of(entry.module) == request.module) &&
                        (request.kind.empty() || name_of(entry.fault_kind) == request.kind) &&
                        last <= oldest_kept;
               });
  return result;
}

Outcome check(const Request& request) {
  const bool filtered =
      !request.module.empty() || !request.kind.empty() || !request.older_than.empty();
  if (request.ids.empty() && !filtered && !request.all) {
    return fail("say what to forget: ids, a filter (--module, --kind, --older-than) or --all",
                exit_usage);
  }
  if ((!request.ids.empty() ? 1 : 0) + (filtered ? 1 : 0) + (request.all ? 1 : 0) > 1) {
    return fail("give either ids, or filters, or --all", exit_usage);
  }
  if (!request.kind.empty() && !is_kind(request.kind)) {
    return fail(fmt::format("'{}' is no kind of fault; there are {}", request.kind, known_kinds()),
                exit_usage);
  }
  return 0;
}

void print_result(const Session& session, const std::vector<Region>& regions) {
  if (session.json) {
    Json ids = Json::array();
    for (const Region& region : regions) {
      ids.push_back(id_text(region.entry.id));
    }
    print_json({{"forgotten", std::move(ids)}});
    return;
  }
  for (const Region& region : regions) {
    fmt::print("forgot {} ({}+{}, {}, {} faults, {} heals)\n", id_text(region.entry.id),
               name_of(region.entry.module), hex(region.entry.entry_offset),
               name_of(region.entry.fault_kind), region.entry.fault_count, region.entry.heal_count);
  }
  if (regions.empty()) {
    fmt::print("nothing to forget: no region fits\n");
  }
}

Outcome forget(const Session& session, const Request& request) {
  if (Outcome checked = check(request); !checked) {
    return checked;
  }
  const auto opened = open_to_change(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  const Result<std::vector<Region>> regions = chosen(read_regions(**opened), request);
  if (!regions) {
    return tl::unexpected(regions.error());
  }
  for (const Region& region : *regions) {
    if (region.pending) {
      return tl::unexpected(pending_failure(region));
    }
  }
  if (!regions->empty()) {
    const auto erase = [&](store::CatalogEditor& editor) {
      for (const Region& region : *regions) {
        editor.erase(region.entry.id);
      }
    };
    if (Outcome done = change_catalog((*opened)->store, erase); !done) {
      return done;
    }
  }
  print_result(session, *regions);
  return 0;
}

}  // namespace

void add_forget(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("forget", "Take functions out of the list");
  const auto request = std::make_shared<Request>();
  command->footer(examples);
  command->add_option("ID", request->ids, "Ids, or their first digits");
  command->add_option("--module", request->module, "Those of this module (its file's base name)")
      ->type_name("NAME");
  command->add_option("--kind", request->kind, "Those whose last fault was of this kind")
      ->type_name("KIND");
  command->add_option("--older-than", request->older_than, "Those not seen for so long: 36h, 30d")
      ->type_name("AGE");
  command->add_flag("--all", request->all, "All of them");
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session, request] {
    session.action = [&session, request] { return forget(session, *request); };
  });
}

}  // namespace selfheal::cli
