// What every handler works with: the guest's registers, its memory, and the ways to stop.
//
// A handler runs between two guest instructions, so the order of its effects is the contract:
//
//   1. read registers      2. check and read memory      3. log and write memory
//   4. write registers and flags
//
// Any of 2 and 3 may fault for real; take_fault then unwinds to run() and the guest is still as it
// was before the instruction. Guest memory is therefore only touched through volatile assembly with
// a memory clobber: the compiler must not move a register write above it.
#pragma once

#include <atomic>

#include "emulator/call_frames.h"
#include "emulator/effect_result.h"
#include "emulator/engine.h"
#include "emulator/heap_view.h"
#include "emulator/nest.h"
#include "emulator/op.h"
#include "emulator/serving.h"
#include "emulator/thread.h"

namespace selfheal::emulator {

// The interpreter's own per-thread data, at Thread::scratch.
struct Machine {
  const Op* op;      // being executed; nullptr outside run()
  u64 elide_top;     // stores in [rsp - 128, elide_top) are to own frames; 0: none are
  u64 stack_floor;   // lowest rsp that ordinary instructions brought about
  bool saving;       // the undo log reads old bytes: a fault now is the guest's store
  bool unlogged;     // those of an instruction that the processor executes cannot be read
  bool fetching;     // code bytes are being read
  bool decoding;     // the vector registers are in vector_area, the block lock is ours
  bool other_stack;  // rsp points elsewhere than the stack of entry
  Stop stop;
  const char* reason;
  u64 instructions;
  u64 budget;    // how far to count before pause() looks up; 0 when a signal waits
  u64 limit;     // the instruction budget
  u64 deadline;  // of the time budget, by Config::clock; 0: not known yet
  u64 fs_base;
  u64 rseq_cs;      // address of the thread's field of that name; 0: none
  u64 rep_rest;     // iterations of a repeated instruction beyond the chunk that is being executed
  u64 vector_area;  // for xsave, 64-byte aligned
  Nest nest;
  Serving serving;
  CallFrames calls;
};

inline Machine& machine_of(Thread& t) {
  return *static_cast<Machine*>(t.scratch);
}

inline constexpr u64 red_zone = 128;

// Stops; `t.guest` stays as it is, at the instruction being executed.
[[gnu::cold]] const Op* stop_here(Thread& t, Stop stop, const char* reason = nullptr);
[[gnu::cold]] const Op* stop_with_fault(Thread& t, FaultKind kind, Access access, u64 address);

// Registers. A 32-bit write clears the upper half, narrower ones leave it (SDM vol. 1, 3.4.1.1).
template <typename T>
inline T get(const Thread& t, u8 offset) {
  T value;
  __builtin_memcpy(&value, reinterpret_cast<const u8*>(t.guest.gpr) + offset, sizeof(T));
  return value;
}

template <typename T>
inline void set(Thread& t, u8 offset, T value) {
  if constexpr (sizeof(T) == 4) {
    const u64 wide = static_cast<u32>(value);
    __builtin_memcpy(reinterpret_cast<u8*>(t.guest.gpr) + offset, &wide, 8);
  } else {
    __builtin_memcpy(reinterpret_cast<u8*>(t.guest.gpr) + offset, &value, sizeof(T));
  }
}

u64 gs_base();

// The address a memory operand names.
inline u64 effective_offset(const Thread& t, const Op& op) {
  u64 a = op.displacement;
  if (op.base != no_register) {
    a += get<u64>(t, op.base);
  }
  if (op.index != no_register) {
    a += get<u64>(t, op.index) << op.scale;
  }
  return op.address32 ? static_cast<u32>(a) : a;
}

inline u64 effective(Thread& t, const Op& op) {
  u64 a = effective_offset(t, op);
  if (op.segment != Segment::none) [[unlikely]] {
    a += op.segment == Segment::fs ? machine_of(t).fs_base : gs_base();
  }
  return a;
}

template <typename T>
inline T raw_load(u64 address) {
  T value;
  asm volatile("mov %1, %0" : "=r"(value) : "m"(*pointer_to<const T>(address)) : "memory");
  return value;
}

template <typename T>
inline void raw_store(u64 address, T value) {
  asm volatile("mov %1, %0" : "=m"(*pointer_to<T>(address)) : "r"(value) : "memory");
}

// Of an address that heap_view holds. False: the access is out of its chunk's bounds; stopped.
[[nodiscard, gnu::cold]] bool heap_allows(Thread& t, u64 address, u64 size, Access access);

// All of the following return false after stopping.
template <typename T>
[[nodiscard]] inline bool load(Thread& t, u64 address, T& value) {
  if (address < null_page_end) [[unlikely]] {
    stop_with_fault(t, FaultKind::null_access, Access::read, address);
    value = T{};
    return false;
  }
  if (heap_view.holds(address) && !heap_allows(t, address, sizeof(T), Access::read)) {
    value = T{};
    return false;
  }
  value = raw_load<T>(address);
  return true;
}

inline bool own_frame(Thread& t, u64 address, u64 size) {
  return address >= t.guest.gpr[rsp] - red_zone && address + size <= machine_of(t).elide_top;
}

// Marks the reads of the undo log, so that a fault in them is known to be the guest's store.
class Saving {
 public:
  explicit Saving(Machine& m) : m_(m) {
    m_.saving = true;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ~Saving() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    m_.saving = false;
  }
  Saving(const Saving&) = delete;
  Saving& operator=(const Saving&) = delete;

 private:
  Machine& m_;
};

// Addresses from here on belong to the kernel or are not canonical: an access there faults for
// sure, and in its own way, so there is nothing to log.
extern constinit u64 user_end;

// Keeps what an ordinary store of `size` bytes is about to overwrite.
[[nodiscard]] bool log_range(Thread& t, u64 address, u64 size);

template <typename T>
[[nodiscard]] inline bool log_value(Thread& t, u64 address) {
  if (address < null_page_end) [[unlikely]] {
    stop_with_fault(t, FaultKind::null_access, Access::write, address);
    return false;
  }
  const CallFrames& calls = machine_of(t).calls;
  if (own_frame(t, address, sizeof(T))) {
    return !calls.touched(address, sizeof(T)) || may_overwrite(t, address, sizeof(T));
  }
  if (address >= user_end) {
    return true;
  }
  if (address - calls.watch_from < calls.watch_span && calls.touched(address, sizeof(T)) &&
      !may_overwrite(t, address, sizeof(T))) [[unlikely]] {
    return false;
  }
  if (heap_view.holds(address) && !heap_allows(t, address, sizeof(T), Access::write)) {
    return false;
  }
  const Saving guard(machine_of(t));
  if (!t.log.save_value<T>(address)) [[unlikely]] {
    stop_here(t, Stop::log_full);
    return false;
  }
  return true;
}

// The read of a read-modify-write: it is made with the intent to write, so its fault is a store's.
template <typename T>
inline T load_for_update(Thread& t, u64 address) {
  const Saving guard(machine_of(t));
  return raw_load<T>(address);
}

// A plain store to a word that an atomic instruction changed before: most likely a lock is
// released. Made and undone as an exchange. False after stopping.
template <typename T>
[[nodiscard]] bool store_atomically(Thread& t, u64 address, T value);

// A restartable sequence (rseq(2)) begins with this store. The kernel restarts it when the thread
// is interrupted between two addresses, at which the engine never is: it must run natively.
[[gnu::cold]] bool leave_for_rseq(Thread& t);

template <typename T>
[[nodiscard]] inline bool store(Thread& t, u64 address, T value) {
  if constexpr (sizeof(T) == sizeof(u64)) {
    if (address == machine_of(t).rseq_cs && value != 0) [[unlikely]] {
      return leave_for_rseq(t);
    }
  }
  if (t.log.changed_atomically(address)) [[unlikely]] {
    return store_atomically<T>(t, address, value);
  }
  if (!log_value<T>(t, address)) {
    return false;
  }
  raw_store<T>(address, value);
  return true;
}

template <typename T>
[[nodiscard]] inline bool push(Thread& t, T value) {
  const u64 sp = t.guest.gpr[rsp] - sizeof(T);
  if (!store<T>(t, sp, value)) {
    return false;
  }
  t.guest.gpr[rsp] = sp;
  return true;
}

// The instruction count at which pause() is next asked (budget.cpp).
void set_checkpoint(Thread& t);

// The checkpoint is reached: stops with guest.rip at `rip` if a budget is used up, or if a signal
// waits. True: go on.
[[nodiscard, gnu::cold]] bool pause(Thread& t, u64 rip);

// A system call with a time budget. False: the time is up already, or was so before the call could
// do anything; guest.rip is at the call again.
[[nodiscard]] bool begin_wait(Thread& t);
[[nodiscard]] bool end_wait(Thread& t, u64 number, EffectResult result);
[[gnu::cold]] const Op* stop_late(Thread& t);

// The guest's stack pointer was set to something else: is it still the stack of entry?
void note_stack(Thread& t);

// Control goes to `target`: the first instruction there, or nullptr when the activation ends.
const Op* go_to(Thread& t, const Op& op, u64 target);

}  // namespace selfheal::emulator
