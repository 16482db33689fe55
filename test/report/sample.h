// Records to render, and a sink that keeps what was written.
#pragma once

#include <cstring>
#include <initializer_list>
#include <string>

#include "lib/report/report.h"

namespace selfheal::report::test {

struct Captured {
  std::string text;
  unsigned calls = 0;

  Sink sink() {
    return {[](void* context, const char* piece, u64 size) {
              auto* self = static_cast<Captured*>(context);
              self->text.append(piece, size);
              ++self->calls;
            },
            this};
  }
};

// Names two functions of mod_crash.so and one of apache2.
inline Symbolizer symbols() {
  return {[](void*, const RecordModule& module, u64 offset, Symbol& out) {
            const auto found = [&out](const char* name, u64 start) {
              std::strcpy(out.name, name);
              out.start = start;
              return true;
            };
            if (std::strcmp(module.name, "mod_crash.so") == 0) {
              if (offset >= 0x1290 && offset < 0x1300) {
                return found("handle_request", 0x1290);
              }
            } else if (std::strcmp(module.name, "apache2") == 0) {
              if (offset >= 0x3f080 && offset < 0x3f200) {
                return found("ap_run_handler", 0x3f080);
              }
            }
            return false;
          },
          nullptr};
}

inline RecordModule module_named(const char* name, u8 first_id_byte) {
  RecordModule module{};
  module.id.kind = ModuleIdKind::build_id;
  module.id.size = 20;
  for (u8 i = 0; i < 20; ++i) {
    module.id.bytes[i] = static_cast<u8>(first_id_byte + i);
  }
  std::strncpy(module.name, name, sizeof module.name - 1);
  return module;
}

inline void set_instruction(FaultRecord& record, std::initializer_list<u8> bytes) {
  record.instruction_size = 0;
  for (const u8 byte : bytes) {
    record.instruction[record.instruction_size++] = byte;
  }
}

// mov eax, [rdi+0x18] with rdi = 0, three frames deep.
inline FaultRecord sample_fault() {
  FaultRecord record{};
  record.time_ns = 1'800'000'000'000'000'000;
  record.pid = 4711;
  record.tid = 4712;
  record.fault.kind = FaultKind::null_access;
  record.fault.access = Access::read;
  record.fault.signal = 11;
  record.fault.trap = 14;
  record.fault.code = 1;
  record.fault.address = 0x18;
  record.fault.error_code = 4;
  record.fault.registers.rip = 0x7f00000012ab;
  set_instruction(record, {0x8b, 0x47, 0x18});
  record.modules[0] = module_named("mod_crash.so", 0xa0);
  record.modules[1] = module_named("apache2", 0x10);
  record.module_count = 2;
  record.site = {0x12ab, 0, {}};
  record.region = {{0x1290, 0, {}}, 0x1122334455667788, 112, 0};
  record.frame_count = 3;
  record.frames[0] = record.site;
  record.frames[1] = {0x3f0c2, 1, {}};
  record.frames[2] = {0x50000, 1, {}};
  return record;
}

inline HealRecord sample_heal() {
  HealRecord record{};
  record.pid = 4711;
  record.tid = 4712;
  record.fault = sample_fault().fault;
  record.modules[0] = module_named("mod_crash.so", 0xa0);
  record.module_count = 1;
  record.site = {0x12ab, 0, {}};
  record.region = {{0x1290, 0, {}}, 0x1122334455667788, 112, 0};
  record.value = 0xffffffff;
  record.error_number = 5;
  record.reason = ValueReason::caller_tests_sign;
  record.outcome = HealOutcome::healed;
  record.duration_ns = 12'345;
  record.bytes_rolled_back = 4096;
  return record;
}

inline std::string rendered(const FaultRecord& record, const Outlook& outlook) {
  Captured captured;
  render_fault(record, outlook, symbols(), captured.sink());
  return captured.text;
}

inline std::string rendered(const HealRecord& record) {
  Captured captured;
  render_heal(record, symbols(), captured.sink());
  return captured.text;
}

}  // namespace selfheal::report::test
