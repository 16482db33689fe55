#include "lib/runtime/heal_record.h"

#include "lib/image/module.h"
#include "lib/report/report.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/symbolize.h"

namespace selfheal::runtime {

bool healable(FaultKind kind) {
  switch (kind) {
    case FaultKind::null_access:
    case FaultKind::wild_access:
    case FaultKind::divide:
    case FaultKind::illegal_instruction:
    case FaultKind::bus:
    case FaultKind::floating_point:
    case FaultKind::stack_exhaustion:
      return true;
    case FaultKind::none:
    case FaultKind::exec_violation:
    case FaultKind::other_signal:
      return false;
  }
  return false;
}

CodeRef refer(HealRecord& record, u64 address) {
  image::Module module;
  if (!image::find_module(address, module)) {
    return {address, no_module, {}};
  }
  for (u8 i = 0; i < record.module_count; ++i) {
    if (record.modules[i].id == module.id) {
      return {module.offset_of(address), i, {}};
    }
  }
  if (record.module_count == max_record_modules) {
    return {address, no_module, {}};
  }
  RecordModule& added = record.modules[record.module_count];
  added.id = module.id;
  const char* name = image::base_name(module);
  for (u64 i = 0; i + 1 < sizeof added.name && name[i] != '\0'; ++i) {
    added.name[i] = name[i];
  }
  return {module.offset_of(address), record.module_count++, {}};
}

void write_down(const HealRecord& record) {
  runtime.store.journal.record_heal(record);
  report::render_heal(record, module_symbols(record.modules), report_sink());
}

}  // namespace selfheal::runtime
