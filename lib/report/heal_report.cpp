#include "lib/base/standard_exception.h"
#include "lib/report/place.h"
#include "lib/report/report.h"
#include "lib/report/sentence.h"
#include "lib/report/writer.h"

namespace selfheal::report {
namespace {

// "returned -1 (the caller tests the sign)"; values are shown as people write them.
void say_value(const HealRecord& record, Text& out) {
  const i64 value = static_cast<i64>(record.value);
  const i64 as_int = static_cast<i32>(static_cast<u32>(record.value));
  constexpr i64 small = 4096;
  if (record.reason == ValueReason::throws) {
    out << "threw " << name_of(thrown_by(record.value));
  } else if (record.reason == ValueReason::unused) {
    out << "returned";
  } else if (record.reason == ValueReason::caller_tests_null && value == 0) {
    out << "returned NULL";
  } else if (value > -small && value < small) {
    out << "returned ";
    out.signed_decimal(value);
  } else if (record.value <= 0xffffffff && as_int > -small) {
    out << "returned ";
    out.signed_decimal(as_int);
  } else {
    out << "returned 0x";
    out.hex(record.value);
  }
  out << " (" << name_of(record.reason);
  if (record.error_number != 0) {
    out << ", errno ";
    out.signed_decimal(record.error_number);
  }
  out << ')';
}

// "12.3 us"
void say_duration(u64 ns, Text& out) {
  out.decimal(ns / 1000) << '.';
  out.decimal(ns % 1000 / 100) << " us";
}

// What the allocation probe did: nothing was rolled back, no error returned.
void say_remedy(const HealRecord& record, Text& out) {
  if (has_remedy(record.remedies, Remedy::ignore_free)) {
    out << "; the free was not done";
  } else if (has_remedy(record.remedies, Remedy::pad_allocation)) {
    out << "; the chunk's padding took it";
  }
}

void say_irrevocable(const HealRecord& record, Text& out) {
  constexpr u32 kept = sizeof record.irrevocable_calls / sizeof record.irrevocable_calls[0];
  out << ", could not undo ";
  for (u32 i = 0; i < kept && i < record.irrevocable; ++i) {
    out << (i == 0 ? "" : ", ");
    if (const char* call = syscall_name(record.irrevocable_calls[i]); call != nullptr) {
      out << call;
    } else {
      out << "system call ";
      out.decimal(record.irrevocable_calls[i]);
    }
  }
  if (record.irrevocable > kept) {
    out << " and ";
    out.decimal(record.irrevocable - kept) << " more";
  }
}

}  // namespace

void render_heal(const HealRecord& record, Symbolizer symbols, Sink sink) {
  const Modules modules(record.modules, record.module_count);
  Writer out(sink);
  char buffer[2 * line_capacity];
  Text line(buffer, sizeof buffer);
  line << "selfheal: process ";
  line.decimal(record.pid);
  if (record.outcome == HealOutcome::unprotected) {
    line << " goes on unprotected: ";
    say_function(record.region, modules, symbols, line);
    line << " changes more memory than its undo log holds (option log-megabytes), at ";
    say_place(record.site, modules, line);
    out.line(line);
    return;
  }
  if (record.outcome == HealOutcome::unfit) {
    line << ": level ";
    line.decimal(record.level) << " of region ";
    line.hex(record.candidate & 0xffff'ffff'ffff, 12) << " is no rescue point";
    out.line(line);
    return;
  }
  if (record.outcome == HealOutcome::access) {
    line << ": region ";
    line.hex(record.candidate & 0xffff'ffff'ffff, 12) << " may decide about access: not healed";
    out.line(line);
    return;
  }
  line << (record.outcome == HealOutcome::left_to_die ? " not healed: "
           : record.outcome == HealOutcome::simulated ? " would be healed: "
                                                      : " healed: ");
  say_function(record.region, modules, symbols, line);
  line << ' ';
  say_fault(record.fault, nullptr, 0, line);
  line << " at ";
  say_place(record.site, modules, line);
  if (record.outcome == HealOutcome::left_to_die) {
    out.line(line);
    return;
  }
  if (record.remedies != 0 && record.reason == ValueReason::none) {
    say_remedy(record, line);
    out.line(line);
    return;
  }
  line << "; ";
  say_value(record, line);
  if (record.level != 0) {
    line << ", level ";
    line.decimal(record.level);
  }
  if (record.outcome == HealOutcome::simulated) {
    line << " (policy: simulate)";
    out.line(line);
    return;
  }
  line << ", ";
  say_duration(record.duration_ns, line);
  line << ", ";
  if (has_remedy(record.remedies, Remedy::stack_check)) {
    line << "what the call was to do is left undone";
  } else if (record.outcome == HealOutcome::eager) {
    line << "by unwinding without rollback";
  } else {
    line.decimal(record.bytes_rolled_back) << " bytes rolled back";
  }
  if (record.actions_undone != 0) {
    const bool one = record.actions_undone == 1;
    line << ", ";
    line.decimal(record.actions_undone);
    if (record.outcome == HealOutcome::eager) {
      line << (one ? " frame cleaned up" : " frames cleaned up");
    } else {
      line << (one ? " action undone" : " actions undone");
    }
  }
  if (record.irrevocable != 0) {
    say_irrevocable(record, line);
  }
  out.line(line);
}

}  // namespace selfheal::report
