#include "cli/region_json.h"

#include <cstring>
#include <iterator>

#include "lib/base/standard_exception.h"
#include "lib/report/disassembly.h"
#include "lib/report/report.h"
#include "lib/store/catalog.h"

namespace selfheal::cli {
namespace {

constexpr const char* register_names[gpr_count] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                   "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                   "r12", "r13", "r14", "r15"};

Json json_place(const CodeRef& ref, const RecordModule* modules, u8 count, bool is_return,
                ModuleFinder& finder) {
  Json place = {{"module", nullptr}, {"offset", hex(ref.offset)}, {"function", nullptr}};
  if (ref.module < count && ref.module < max_record_modules) {
    const RecordModule& module = modules[ref.module];
    place["module"] = name_of(module);
    place["function"] = json_name(finder.function_name(module, ref.offset - (is_return ? 1 : 0)));
  }
  return place;
}

Json json_of(const Fault& fault) {
  return {{"kind", name_of(fault.kind)}, {"access", name_of(fault.access)},
          {"signal", fault.signal},      {"code", fault.code},
          {"trap", fault.trap},          {"address", hex(fault.address)}};
}

Json json_of(const Registers& registers) {
  Json result;
  for (unsigned i = 0; i < gpr_count; ++i) {
    result[register_names[i]] = hex(registers.gpr[i]);
  }
  result["rip"] = hex(registers.rip);
  result["rflags"] = hex(registers.rflags);
  return result;
}

Json json_instruction(const u8* bytes, u8 size) {
  if (size == 0 || size > sizeof FaultRecord::instruction) {
    return nullptr;
  }
  char text_buffer[128];
  char digits_buffer[2 * sizeof FaultRecord::instruction + 1];
  Text text(text_buffer, sizeof text_buffer);
  Text digits(digits_buffer, sizeof digits_buffer);
  report::disassemble(bytes, size, report::nowhere, text);
  digits.bytes(bytes, size);
  return {{"bytes", digits.c_str()}, {"text", text.c_str()}};
}

Json json_detail(const FaultRecord& record, ModuleFinder& modules) {
  const FaultDetail& detail = record.detail;
  const auto call = [&](const CodeRef& ref) {
    return ref.module == no_module
               ? Json(nullptr)
               : json_place(ref, record.modules, record.module_count, true, modules);
  };
  return {{"message", std::string(detail.message, strnlen(detail.message, sizeof detail.message))},
          {"allocated_at", call(detail.allocated_at)},
          {"freed_at", call(detail.freed_at)},
          {"chunk_size", detail.chunk_size},
          {"chunk_offset", detail.chunk_offset},
          {"used", detail.used},
          {"samples", detail.samples},
          {"cycle", detail.cycle},
          {"stride", detail.stride},
          {"outermost_call", call(detail.outermost_call)}};
}

Json json_remedies(u8 remedies) {
  Json names = Json::array();
  for (const Remedy remedy : all_remedies) {
    if (has_remedy(remedies, remedy)) {
      names.push_back(name_of(remedy));
    }
  }
  return names;
}

}  // namespace

Json json_region(const Region& region, ModuleFinder& modules) {
  const store::CatalogEntry& entry = region.entry;
  Json result = {
      {"id", id_text(entry.id)},
      {"module", json_module(entry.module)},
      {"offset", hex(entry.entry_offset)},
      {"function", json_name(modules.function_name(entry.module, entry.entry_offset))},
      {"size", entry.size},
      {"code_hash", hex(entry.code_hash)},
      {"fault",
       {{"kind", name_of(entry.fault_kind)},
        {"access", name_of(entry.access)},
        {"signal", entry.signal},
        {"address", hex(entry.address)}}},
      {"faults", entry.fault_count},
      {"heals", entry.heal_count},
      {"first_seen", json_time(entry.first_seen_ns)},
      {"last_seen", json_time(entry.last_seen_ns)},
      {"last_heal", json_time(entry.last_heal_ns)},
      {"enabled", entry.enabled != 0},
      {"security_event", is_security_event(entry.fault_kind)},
      {"policy", store::name_of(entry.policy)},
      {"policy_by_user", entry.policy_by_user != 0},
      {"level", entry.level},
      {"level_by_user", entry.level_by_user != 0},
      {"remedies", json_remedies(entry.remedies)},
      {"remedies_by_user", entry.remedies_by_user != 0},
      {"padding", entry.padding},
      {"stack_reserve", entry.stack_reserve},
      {"instruction_budget", entry.instruction_budget},
      {"pending", region.pending},
  };
  result["value"] = entry.value_set != 0 ? Json(hex(entry.value)) : Json(nullptr);
  result["errno"] = entry.error_set != 0 ? Json(entry.error_number) : Json(nullptr);
  return result;
}

Json json_fault(const FaultRecord& record, const std::string& report, ModuleFinder& modules) {
  Json stack = Json::array();
  for (unsigned i = 0; i < record.frame_count && i < max_frames; ++i) {
    Json frame = json_place(record.frames[i], record.modules, record.module_count, i != 0, modules);
    frame["blamed"] = record.region.size != 0 && i == record.blamed_frame;
    stack.push_back(std::move(frame));
  }
  Json result = {{"time", json_time(record.time_ns)}, {"pid", record.pid}, {"tid", record.tid}};
  result.update(json_of(record.fault));
  result["site"] = json_place(record.site, record.modules, record.module_count, false, modules);
  result["in_cold_part"] = record.in_cold_part != 0;
  result["instruction"] = json_instruction(record.instruction, record.instruction_size);
  result["detail"] = json_detail(record, modules);
  result["registers"] = json_of(record.fault.registers);
  result["stack"] = std::move(stack);
  result["report"] = report;
  return result;
}

Json json_heal(const HealRecord& record, const std::string& line, ModuleFinder& modules) {
  Json calls = Json::array();
  for (u32 i = 0; i < record.irrevocable && i < std::size(record.irrevocable_calls); ++i) {
    const char* name = report::syscall_name(record.irrevocable_calls[i]);
    calls.push_back(name != nullptr ? Json(name) : Json(record.irrevocable_calls[i]));
  }
  Json result = {{"time", json_time(record.time_ns)}, {"pid", record.pid}, {"tid", record.tid}};
  result["outcome"] = name_of(record.outcome);
  result.update(json_of(record.fault));
  result["site"] = json_place(record.site, record.modules, record.module_count, false, modules);
  result["value"] = hex(record.value);
  result["value_reason"] = name_of(record.reason);
  if (record.reason == ValueReason::throws) {
    result["thrown"] = name_of(thrown_by(record.value));
  }
  result["errno"] = record.error_number;
  result["remedies"] = json_remedies(record.remedies);
  result["level"] = record.level;
  result["duration_ns"] = record.duration_ns;
  result["bytes_rolled_back"] = record.bytes_rolled_back;
  result["actions_undone"] = record.actions_undone;
  result["irrevocable"] = record.irrevocable;
  result["irrevocable_calls"] = std::move(calls);
  result["report"] = line;
  return result;
}

}  // namespace selfheal::cli
