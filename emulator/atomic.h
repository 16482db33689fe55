// Atomic changes of guest memory. They are done first and logged then, as only the instruction
// itself knows what it changed; so room in the log is asked for before.
#pragma once

#include "emulator/actions.h"
#include "emulator/machine.h"

namespace selfheal::emulator {

// May `address` be changed, and is there room to say so? False after stopping.
[[nodiscard]] inline bool atomic_target(Thread& t, u64 address) {
  if (address < null_page_end) [[unlikely]] {
    stop_with_fault(t, FaultKind::null_access, Access::write, address);
    return false;
  }
  if (machine_of(t).calls.touched(address, 1) && !may_overwrite(t, address, 8)) [[unlikely]] {
    return false;
  }
  if (!t.log.room()) [[unlikely]] {
    stop_here(t, Stop::log_full);
    return false;
  }
  return true;
}

// There is room: atomic_target has said so.
inline void log_atomic(Thread& t, Action action, u64 address, u64 b, u64 c) {
  static_cast<void>(t.log.action(action, address, b, c));
}

template <typename T>
inline bool swap_if(u64 address, T& expected, T desired) {
  bool done;
  asm volatile("lock cmpxchg %[desired], %[word]"
               : "+a"(expected), [word] "+m"(*pointer_to<T>(address)), "=@ccz"(done)
               : [desired] "r"(desired)
               : "memory");
  return done;
}

}  // namespace selfheal::emulator
