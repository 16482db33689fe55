#include "lib/runtime/heal_record.h"

#include "lib/image/module.h"
#include "lib/report/report.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/symbolize.h"

namespace selfheal::runtime {

bool healable(FaultKind kind) {
  return kind != FaultKind::none && kind != FaultKind::other_signal && !is_integrity(kind);
}

RecordModule name_module(const image::Module& module) {
  RecordModule named{};
  named.id = module.id;
  const char* name = image::base_name(module);
  for (u64 i = 0; i + 1 < sizeof named.name && name[i] != '\0'; ++i) {
    named.name[i] = name[i];
  }
  return named;
}

namespace {

template <typename Record>
CodeRef refer_in(Record& record, u64 address) {
  image::Module module;
  if (!image::find_module(address, module)) {
    return {address, no_module, {}};
  }
  u8 index = 0;
  while (index < record.module_count && !(record.modules[index].id == module.id)) {
    ++index;
  }
  if (index == max_record_modules) {
    return {address, no_module, {}};
  }
  if (index == record.module_count) {
    record.modules[record.module_count++] = name_module(module);
  }
  const CodeRef reference{module.offset_of(address), index, {}};
  note_module(reference, address);
  return reference;
}

}  // namespace

CodeRef refer(HealRecord& record, u64 address) {
  return refer_in(record, address);
}

CodeRef refer(FaultRecord& record, u64 address) {
  return refer_in(record, address);
}

void write_down(const HealRecord& record) {
  runtime.store.journal.record_heal(record);
  if (reports_wanted()) {
    report::render_heal(record, module_symbols(record.modules), report_sink());
  }
}

}  // namespace selfheal::runtime
