// The stack: push, pop, leave, the flags on it.
#include "emulator/flags.h"
#include "emulator/handlers.h"
#include "emulator/machine.h"

namespace selfheal::emulator {
namespace {

template <typename T>
const Op* push_register(Thread& t, const Op& op) {
  return push<T>(t, get<T>(t, op.a)) ? &op + 1 : nullptr;
}

template <typename T>
const Op* push_immediate(Thread& t, const Op& op) {
  return push<T>(t, static_cast<T>(op.immediate)) ? &op + 1 : nullptr;
}

template <typename T>
const Op* push_memory(Thread& t, const Op& op) {
  T value;
  return load<T>(t, effective(t, op), value) && push<T>(t, value) ? &op + 1 : nullptr;
}

template <typename T>
const Op* pop_register(Thread& t, const Op& op) {
  T value;
  if (!load<T>(t, t.guest.gpr[rsp], value)) {
    return nullptr;
  }
  if (machine_of(t).calls.guarded(t.guest.gpr[rsp])) [[unlikely]] {
    machine_of(t).calls.settle(t.guest.gpr[rsp] + sizeof(T));  // call, pop: that call never returns
  }
  t.guest.gpr[rsp] += sizeof(T);
  set<T>(t, op.a, value);
  return &op + 1;
}

// The address is formed after rsp has moved (SDM vol. 2, POP).
template <typename T>
const Op* pop_memory(Thread& t, const Op& op) {
  T value;
  const u64 sp = t.guest.gpr[rsp];
  if (!load<T>(t, sp, value)) {
    return nullptr;
  }
  u64 address = effective(t, op);
  if (op.base == rsp * 8) {
    address += sizeof(T);
  }
  if (!store<T>(t, address, value)) {
    return nullptr;
  }
  t.guest.gpr[rsp] = sp + sizeof(T);
  return &op + 1;
}

template <typename T>
const Op* push_flags(Thread& t, const Op& op) {
  constexpr u64 never_pushed = (1U << 16) | (1U << 17);  // RF, VM
  return push<T>(t, static_cast<T>(t.guest.rflags & ~never_pushed)) ? &op + 1 : nullptr;
}

template <typename T>
const Op* pop_flags(Thread& t, const Op& op) {
  // What a program without I/O privilege may change: status, TF, DF, NT, AC, ID.
  constexpr u64 writable = status_flags | flag_tf | flag_df | (1U << 14) | flag_ac | (1U << 21);
  T value;
  if (!load<T>(t, t.guest.gpr[rsp], value)) {
    return nullptr;
  }
  if ((value & (flag_tf | (sizeof(T) > 2 ? flag_ac : 0))) != 0) {
    return stop_here(t, Stop::unsupported, "popf sets the trap or the alignment-check flag");
  }
  const u64 mask = writable & static_cast<T>(~T{0});
  t.guest.rflags = (t.guest.rflags & ~mask) | (value & mask);
  t.guest.gpr[rsp] += sizeof(T);
  return &op + 1;
}

}  // namespace

Handler push_handler(Form form, unsigned bytes) {
  if (bytes != 2 && bytes != 8) {
    return nullptr;
  }
  const bool wide = bytes == 8;
  switch (form) {
    case Form::r:
      return wide ? push_register<u64> : push_register<u16>;
    case Form::m:
      return wide ? push_memory<u64> : push_memory<u16>;
    case Form::ri:
      return wide ? push_immediate<u64> : push_immediate<u16>;
    default:
      return nullptr;
  }
}

Handler pop_handler(Form form, unsigned bytes) {
  if (bytes != 2 && bytes != 8) {
    return nullptr;
  }
  const bool wide = bytes == 8;
  return form == Form::r   ? (wide ? pop_register<u64> : pop_register<u16>)
         : form == Form::m ? (wide ? pop_memory<u64> : pop_memory<u16>)
                           : nullptr;
}

Handler push_flags_handler(unsigned bytes) {
  return bytes == 8 ? push_flags<u64> : bytes == 2 ? push_flags<u16> : nullptr;
}

Handler pop_flags_handler(unsigned bytes) {
  return bytes == 8 ? pop_flags<u64> : bytes == 2 ? pop_flags<u16> : nullptr;
}

const Op* do_leave(Thread& t, const Op& op) {
  u64 value;
  const u64 frame = t.guest.gpr[rbp];
  if (!load<u64>(t, frame, value)) {
    return nullptr;
  }
  t.guest.gpr[rsp] = frame + 8;
  t.guest.gpr[rbp] = value;
  return &op + 1;
}

}  // namespace selfheal::emulator
