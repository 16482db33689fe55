// selfheal list: the regions of the store, one a line.
#include <algorithm>
#include <fmt/core.h>
#include <memory>

#include "cli/decision.h"
#include "cli/region_json.h"
#include "cli/regions.h"
#include "cli/session.h"
#include "cli/table.h"
#include "lib/report/sentence.h"
#include "lib/store/budget.h"
#include "lib/store/catalog.h"

namespace selfheal::cli {
namespace {

constexpr size_t most_events = 10;  // shown; the JSON has all

constexpr const char* examples =
    "Examples:\n"
    "  selfheal list                    what has crashed, and what is done about it\n"
    "  selfheal list --json | jq '.regions[].id'\n"
    "  selfheal list --store /srv/heal  another store\n"
    "\n"
    "Below them: faults with no function to blame, such as what `selfheal run` saw from outside.\n"
    "faults: crashes recorded; heals: times a crash was rolled back instead.\n"
    "As the store's owner, this also moves what waits in the journal to the catalog.\n";

std::string place_of(const Region& region, ModuleFinder& modules) {
  const store::CatalogEntry& entry = region.entry;
  const std::string name = modules.function_name(entry.module, entry.entry_offset);
  return name.empty() ? hex(entry.entry_offset) : name;
}

Cell state_of(const Region& region, const store::Journal& journal, u64 now) {
  if (region.pending) {
    return {"pending", Colour::dim};
  }
  if (region.entry.enabled == 0) {
    return {"disabled", Colour::yellow};
  }
  if (store::budget_open_until(journal, region.entry.id, now) != 0) {
    return {"breaker open", Colour::red};
  }
  return {"enabled", Colour::green};
}

void print_table(const Session& session, const Regions& regions, const OpenStore& opened,
                 ModuleFinder& modules) {
  Table table;
  table.column("ID");
  table.column("MODULE", Align::left, Fit::cut);
  table.column("FUNCTION", Align::left, Fit::cut);
  table.column("FAULT", Align::left, Fit::cut);
  table.column("SEEN");
  table.column("FAULTS", Align::right);
  table.column("HEALS", Align::right);
  table.column("STATE");
  table.column("POLICY");
  const u64 now = now_ns();
  for (const Region& region : regions.regions) {
    const store::CatalogEntry& entry = region.entry;
    table.row({{id_text(entry.id), Colour::bold},
               {name_of(entry.module)},
               {place_of(region, modules)},
               {name_of(entry.fault_kind)},
               {age(entry.last_seen_ns, now)},
               {std::to_string(entry.fault_count)},
               {std::to_string(entry.heal_count)},
               state_of(region, opened.store.journal, now),
               {name_of(decision_on(opened, entry, modules).mode)}});
  }
  fmt::print("{}", table.render(session.terminal));
}

// Words enough for somebody who reads the list because of them.
void print_security(const Regions& regions) {
  const auto count =
      std::count_if(regions.regions.begin(), regions.regions.end(),
                    [](const Region& r) { return is_security_event(r.entry.fault_kind); });
  if (count != 0) {
    fmt::print("\n{} of these {} a security event: somebody may be trying to take control.\n",
               count, count == 1 ? "is" : "are");
  }
}

// What the record says of itself, or what its kind says.
std::string story_of(const FaultRecord& record) {
  if (record.detail.message[0] != '\0') {
    return record.detail.message;
  }
  char buffer[256];
  Text text(buffer, sizeof buffer);
  report::say_fault(record.fault, record.instruction, record.instruction_size, text);
  return text.c_str();
}

void print_events(const Session& session, const std::vector<FaultRecord>& events) {
  if (events.empty()) {
    return;
  }
  const size_t shown = std::min(events.size(), most_events);
  fmt::print("\n{} recorded {} blamed on no function{}:\n", events.size(),
             events.size() == 1 ? "fault could be" : "faults could be",
             shown < events.size() ? fmt::format("; the last {}", shown) : "");
  Table table;
  table.column("SEEN");
  table.column("PID", Align::right);
  table.column("FAULT");
  table.column("STORY", Align::left, Fit::cut);
  const u64 now = now_ns();
  for (size_t i = 0; i < shown; ++i) {
    table.row({{age(events[i].time_ns, now)},
               {std::to_string(events[i].pid)},
               {name_of(events[i].fault.kind)},
               {story_of(events[i])}});
  }
  fmt::print("{}", table.render(session.terminal));
}

Json json_events(const std::vector<FaultRecord>& events) {
  Json list = Json::array();
  for (const FaultRecord& event : events) {
    list.push_back({{"time", json_time(event.time_ns)},
                    {"pid", event.pid},
                    {"tid", event.tid},
                    {"kind", name_of(event.fault.kind)},
                    {"signal", event.fault.signal},
                    {"message", story_of(event)}});
  }
  return list;
}

void print_notes(const Session& session, const OpenStore& opened, const Regions& regions) {
  print_events(session, regions.unattributed);
  if (opened.store.journal.mapped() && opened.store.journal.dropped_faults() != 0) {
    fmt::print("\n{} faults were not recorded: the journal was full.\n",
               opened.store.journal.dropped_faults());
  }
}

Outcome list(const Session& session) {
  const auto opened = open_to_look(session);
  if (!opened) {
    return tl::unexpected(opened.error());
  }
  const OpenStore& store = **opened;
  const Regions regions = store.exists ? read_regions(store) : Regions{};
  ModuleFinder modules;
  if (session.json) {
    Json list = Json::array();
    for (const Region& region : regions.regions) {
      list.push_back(json_region(region, modules));
    }
    const store::Journal& journal = store.store.journal;
    print_json({{"store", store.place.path},
                {"generation", store.store.catalog.generation()},
                {"regions", std::move(list)},
                {"unattributed_faults", regions.unattributed.size()},
                {"events", json_events(regions.unattributed)},
                {"dropped_faults", journal.mapped() ? journal.dropped_faults() : 0},
                {"dropped_heals", journal.mapped() ? journal.dropped_heals() : 0}});
    return 0;
  }
  if (regions.regions.empty()) {
    fmt::print("No crash is recorded in {}{}.\n", store.place.path,
               store.exists ? "" : " (it does not exist yet)");
  } else {
    print_table(session, regions, store, modules);
    print_security(regions);
  }
  print_notes(session, store, regions);
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("list", "Show the functions that crashed");
  command->footer(examples);
  add_store_option(*command, session);
  add_json_option(*command, session);
  command->callback([&session] { session.action = [&session] { return list(session); }; });
}

}  // namespace selfheal::cli
