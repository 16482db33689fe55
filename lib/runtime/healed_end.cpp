#include "lib/runtime/healed_end.h"

#include <errno.h>

#include "lib/runtime/return_choice.h"

namespace selfheal::runtime {
namespace {

using emulator::Thread;
using recover::Return;

constexpr u64 direction_flag = 1 << 10;

void return_to_caller(Thread& thread, const Return& value) {
  thread.guest = thread.checkpoint;
  thread.guest.rip = thread.return_address;
  thread.guest.gpr[rsp] = thread.entry_sp + sizeof(u64);
  thread.guest.gpr[rax] = value.in_rax.value;
  if (value.has_second) {
    thread.guest.gpr[rdx] = value.second;
  }
  thread.guest.rflags &= ~direction_flag;
}

void throw_into_caller(Thread& thread, const Return& value) {
  static constexpr char what[] = "internal error";  // clients may get to see it
  thread.guest = thread.checkpoint;
  thread.guest.rip = value.thrower;
  thread.guest.gpr[rdi] = address_of(what);
  thread.guest.rflags &= ~direction_flag;
}

}  // namespace

void end_call(Thread& thread, const Return& value, VectorResult& vector) {
  if (value.thrower != 0) {
    throw_into_caller(thread, value);
    return;
  }
  leave_behind(thread.checkpoint, value, emulator::nesting(thread) != 0 ? &thread.log : nullptr);
  return_to_caller(thread, value);
  vector = {value.has_vector, value.vector};
  if (value.in_rax.error_number != 0) {
    errno = value.in_rax.error_number;
  }
}

void note_value(const Return& value, HealRecord& record) {
  if (value.thrower != 0) {
    record.value = static_cast<u64>(value.thrown);
    record.reason = ValueReason::throws;
    return;
  }
  record.value = value.in_rax.value;
  record.reason = value.in_rax.reason;
  record.error_number = value.in_rax.error_number;
}

}  // namespace selfheal::runtime
