#include "cli/evidence.h"

#include <algorithm>
#include <cstring>

#include "cli/decision.h"

namespace selfheal::cli {
namespace {

report::Sink into(std::string& text) {
  return {[](void* context, const char* piece, u64 size) {
            static_cast<std::string*>(context)->append(piece, size);
          },
          &text};
}

report::Symbolizer named_by(ModuleFinder& modules) {
  return {[](void* context, const RecordModule& module, u64 offset, report::Symbol& out) {
            const ModuleFile* file = static_cast<ModuleFinder*>(context)->find(module);
            const auto named = file != nullptr ? file->elf.function_at(offset) : std::nullopt;
            if (!named) {
              return false;
            }
            const size_t size = std::min(named->name.size(), sizeof out.name - 1);
            std::memcpy(out.name, named->name.data(), size);
            out.name[size] = '\0';
            out.start = named->start;
            return true;
          },
          &modules};
}

void count(const HealRecord& heal, Evidence& evidence) {
  switch (heal.outcome) {
    case HealOutcome::healed:
      ++evidence.healed;
      break;
    case HealOutcome::eager:
      ++evidence.eager;
      break;
    case HealOutcome::left_to_die:
      ++evidence.left_to_die;
      return;
    case HealOutcome::unprotected:
      ++evidence.unprotected;
      return;
    case HealOutcome::simulated:
      ++evidence.simulated;
      break;
    case HealOutcome::unfit:
    case HealOutcome::access:
    case HealOutcome::none:
      return;
  }
  if (!evidence.last_heal || evidence.last_heal->time_ns <= heal.time_ns) {
    evidence.last_heal = heal;
  }
}

}  // namespace

Evidence collect_evidence(const OpenStore& opened, const store::CatalogEntry& entry) {
  Evidence evidence;
  for_each_record(opened, [&](const store::Slot& slot) {
    if (slot.kind == store::RecordKind::fault) {
      const FaultRecord& fault = slot.fault;
      if (concerns(fault.region, fault.modules, fault.module_count, entry) &&
          (!evidence.last_fault || evidence.last_fault->time_ns <= fault.time_ns)) {
        evidence.last_fault = fault;
      }
    } else if (concerns(slot.heal, entry)) {
      count(slot.heal, evidence);
    }
  });
  return evidence;
}

FaultRecord fault_from(const store::CatalogEntry& entry) {
  FaultRecord record{};
  record.time_ns = entry.last_seen_ns;
  record.pid = entry.pid;
  record.tid = entry.pid;
  record.fault.kind = entry.fault_kind;
  record.fault.access = entry.access;
  record.fault.signal = entry.signal;
  record.fault.address = entry.address;
  record.site = entry.site;
  record.blamed_frame = entry.blamed_frame;
  record.in_cold_part = entry.in_cold_part;
  record.frame_count = entry.frame_count;
  record.module_count = entry.module_count;
  std::copy(std::begin(entry.frames), std::end(entry.frames), record.frames);
  std::copy(std::begin(entry.modules), std::end(entry.modules), record.modules);
  record.detail = entry.detail;
  record.region.entry = {entry.entry_offset, no_module, {}};
  for (u8 i = 0; i < record.module_count && i < max_record_modules; ++i) {
    if (record.modules[i].id == entry.module.id) {
      record.region.entry.module = i;
    }
  }
  record.region.code_hash = entry.code_hash;
  record.region.size = entry.size;
  return record;
}

report::Outlook outlook_of(const Region& region, const FaultRecord& record,
                           const store::Decision& decision) {
  report::Outlook outlook = report::default_outlook(record);
  if (region.entry.enabled == 0) {
    outlook.next_time = report::NextTime::disabled;
  } else if (region.entry.policy == store::Policy::stop) {
    outlook.next_time = report::NextTime::integrity;
    outlook.reason = "policy stop";
  } else if (const char* reason = why_not_healed(decision); reason != nullptr) {
    outlook.next_time = report::NextTime::by_policy;
    outlook.reason = reason;
  }
  return outlook;
}

std::string report_text(const FaultRecord& record, const report::Outlook& outlook,
                        ModuleFinder& modules) {
  std::string text;
  report::render_fault(record, outlook, named_by(modules), into(text));
  return text;
}

std::string report_text(const HealRecord& record, ModuleFinder& modules) {
  std::string text;
  report::render_heal(record, named_by(modules), into(text));
  return text;
}

}  // namespace selfheal::cli
