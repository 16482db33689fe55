#include "lib/store/sanitize.h"

#include <initializer_list>

#include "lib/store/levels.h"

namespace selfheal::store {
namespace {

// User addresses end below 2^47 (Intel SDM vol. 1, 3.3.7.1; the lower canonical half).
constexpr u64 user_end = u64{1} << 47;
// The longest function in any server measured is 77 KiB (facts-servers.md, section 3).
constexpr u32 longest_function = 16 * 1024 * 1024;

template <typename Enum>
void keep_known(Enum& value, Enum last) {
  if (value > last) {
    value = Enum{};
  }
}

void keep_flag(u8& flag) {
  flag = flag != 0 ? 1 : 0;
}

void sanitize_code(CodeRef& code, u8 module_count) {
  if (code.module >= module_count) {
    code.module = no_module;
  }
}

void sanitize_fault(Fault& fault) {
  keep_known(fault.kind, last_fault_kind);
  keep_known(fault.access, Access::execute);
}

void sanitize_modules(RecordModule (&modules)[max_record_modules], u8& count) {
  if (count > max_record_modules) {
    count = max_record_modules;
  }
  for (RecordModule& module : modules) {
    sanitize(module);
  }
}

void sanitize_frames(CodeRef (&frames)[max_frames], u8& count, u8& blamed, u8 module_count) {
  if (count > max_frames) {
    count = max_frames;
  }
  if (blamed >= count) {
    blamed = 0;
  }
  for (CodeRef& frame : frames) {
    sanitize_code(frame, module_count);
  }
}

// Text goes to terminals: nothing but printable ASCII, so that it cannot steer one.
template <u64 size>
void sanitize_text(char (&text)[size]) {
  bool ended = false;
  for (char& c : text) {
    ended = ended || c == '\0';
    c = ended ? '\0' : (c < ' ' || c > '~') ? '?' : c;
  }
  text[size - 1] = '\0';
}

void sanitize_detail(FaultDetail& detail, u8 module_count) {
  for (CodeRef* code : {&detail.allocated_at, &detail.freed_at, &detail.outermost_call}) {
    sanitize_code(*code, module_count);
  }
  sanitize_text(detail.message);
}

// Levels are outside of the blamed frame, and in a module.
void sanitize_levels(u32& levels, u8 blamed, const CodeRef (&frames)[max_frames], u8 count) {
  for (u32 i = 0; i < max_frames; ++i) {
    if (i <= blamed || i >= count || frames[i].module == no_module) {
      levels &= ~(u32{1} << i);
    }
  }
}

void sanitize_candidates(CatalogEntry& entry) {
  sanitize_levels(entry.level_frames, entry.blamed_frame, entry.frames, entry.frame_count);
  entry.unfit_levels &= 0xfe;
  if (entry.level >= level_count(entry)) {
    entry.level = 0;
  }
  if (entry.value_slot >= values_a_level) {
    entry.value_slot = 0;
  }
  for (u32 level = 0; level < max_levels; ++level) {
    keep_known(entry.best_reasons[level], last_value_reason);
    keep_known(entry.evidence[level], last_evidence);
    for (Verdict& verdict : entry.verdicts[level]) {
      keep_known(verdict, last_verdict);
    }
  }
}

void sanitize_instruction(u8& size) {
  if (size > 15) {
    size = 0;
  }
}

// The signals a kind of fault can come with; 0 is a fault seen before the processor raised one.
bool signal_fits(const Fault& fault) {
  constexpr u8 ill = 4, trap = 5, abrt = 6, bus = 7, fpe = 8, segv = 11;
  switch (fault.kind) {
    case FaultKind::null_access:
    case FaultKind::wild_access:
    case FaultKind::exec_violation:
    case FaultKind::stack_overwrite:
    case FaultKind::return_mismatch:
    case FaultKind::stack_exhaustion:
      return fault.signal == segv || fault.signal == bus || fault.signal == 0;
    case FaultKind::divide:
    case FaultKind::floating_point:
      return fault.signal == fpe || fault.signal == 0;
    case FaultKind::illegal_instruction:  // segv: a privileged one
      return fault.signal == ill || fault.signal == segv || fault.signal == trap ||
             fault.signal == 0;
    case FaultKind::bus:
      return fault.signal == bus || fault.signal == 0;
    case FaultKind::heap_overflow:
    case FaultKind::use_after_free:
    case FaultKind::control_protection:
    case FaultKind::protection_key:
      return fault.signal == segv || fault.signal == 0;
    case FaultKind::time_out:
    case FaultKind::memory_growth:
      return fault.signal == 0;
    default:
      return is_abort(fault.kind) && (fault.signal == abrt || fault.signal == 0);
  }
}

}  // namespace

void sanitize(RecordModule& module) {
  keep_known(module.id.kind, ModuleIdKind::content_hash);
  if (module.id.size > sizeof module.id.bytes || module.id.size == 0) {
    module.id = {};
  }
  module.id.reserved[0] = module.id.reserved[1] = 0;
  for (u32 i = module.id.size; i < sizeof module.id.bytes; ++i) {
    module.id.bytes[i] = 0;
  }
  sanitize_text(module.name);
}

void sanitize(FaultRecord& record) {
  sanitize_fault(record.fault);
  sanitize_modules(record.modules, record.module_count);
  sanitize_frames(record.frames, record.frame_count, record.blamed_frame, record.module_count);
  sanitize_code(record.site, record.module_count);
  sanitize_code(record.region.entry, record.module_count);
  sanitize_detail(record.detail, record.module_count);
  sanitize_instruction(record.instruction_size);
  keep_flag(record.in_cold_part);
  keep_flag(record.alarm);
  sanitize_levels(record.level_frames, record.blamed_frame, record.frames, record.frame_count);
  for (Evidence& evidence : record.evidence) {
    keep_known(evidence, last_evidence);
  }
}

void sanitize(HealRecord& record) {
  sanitize_fault(record.fault);
  sanitize_modules(record.modules, record.module_count);
  sanitize_code(record.site, record.module_count);
  sanitize_code(record.region.entry, record.module_count);
  sanitize_code(record.return_address, record.module_count);
  keep_known(record.reason, last_value_reason);
  keep_known(record.outcome, last_heal_outcome);
}

void sanitize(CatalogEntry& entry) {
  sanitize(entry.module);
  sanitize_modules(entry.modules, entry.module_count);
  sanitize_frames(entry.frames, entry.frame_count, entry.blamed_frame, entry.module_count);
  sanitize_code(entry.site, entry.module_count);
  sanitize_detail(entry.detail, entry.module_count);
  sanitize_instruction(entry.instruction_size);
  keep_known(entry.policy, Policy::stop);
  keep_known(entry.fault_kind, last_fault_kind);
  keep_known(entry.access, Access::execute);
  for (u8* flag : {&entry.enabled, &entry.policy_by_user, &entry.value_set, &entry.error_set,
                   &entry.in_cold_part, &entry.remedies_by_user, &entry.level_by_user,
                   &entry.decides_access}) {
    keep_flag(*flag);
  }
  sanitize_candidates(entry);
}

const char* implausible(const FaultRecord& record) {
  const FunctionRef& region = record.region;
  if (!signal_fits(record.fault)) {
    return "no fault of the program's own";
  }
  if (region.size == 0) {
    return "no function could be blamed";
  }
  if (region.entry.module >= record.module_count) {
    return "the blamed function is in no known module";
  }
  if (record.modules[region.entry.module].id.kind == ModuleIdKind::none) {
    return "the module has no id";
  }
  if (region.entry.offset >= user_end || region.size > longest_function) {
    return "the blamed function has impossible bounds";
  }
  return nullptr;
}

}  // namespace selfheal::store
