// A fault as a probe saw it, before anybody asked where it happened: plain state, copied by value.
#pragma once

#include "lib/base/registers.h"
#include "lib/base/types.h"

namespace selfheal {

// Stored in journals: append only, never renumber.
enum class FaultKind : u8 {
  none = 0,
  null_access = 1,          // data access below 64 KiB
  wild_access = 2,          // data access to an unmapped, protected or non-canonical address
  divide = 3,               // #DE, integer division
  illegal_instruction = 4,  // #UD
  bus = 5,                  // SIGBUS: access past the end of a mapped file, hardware error
  floating_point = 6,       // unmasked x87 or SSE exception
  exec_violation = 7,       // instruction fetch from memory that is not executable code
  stack_exhaustion = 8,     // access to the guard area of the thread's stack
  other_signal = 9,         // one of our signals sent by somebody (kill, raise), or an unknown trap
  time_out = 10,            // a loop that does not end, or a region beyond its budget
  memory_growth = 11,       // a loop whose only progress is the memory it takes
  abort = 12,               // abort() or raise(SIGABRT) by the application
  assertion = 13,           // a failed assert()
  terminate = 14,           // std::terminate: an uncaught exception, noexcept broken, …
  fortify = 15,             // a _chk function of libc refused to write beyond an object
  smashed_stack = 16,       // a stack canary was found overwritten
  stack_overwrite = 17,     // a store onto a saved return address or a canary, before it happens
  heap_corruption = 18,     // the allocator found its data damaged
  bad_free = 19,            // free of what is no live chunk: freed before, or never allocated
  heap_overflow = 20,       // access beyond the bounds of a live heap chunk
  use_after_free = 21,      // access to a heap chunk that was freed
  return_mismatch = 22,     // a return to another address than its call pushed
  control_protection = 23,  // #CP: shadow stack or indirect-branch tracking (CET)
  protection_key = 24,      // data access that PKRU forbids
};

inline constexpr FaultKind last_fault_kind = FaultKind::protection_key;

// Somebody may be steering the process (DESIGN.md, invariant 7): by default not healed, but
// recorded as a security event. Faults that are *foreseen* (stack_overwrite, heap_overflow,
// fortify, …) have damaged nothing yet and count as faults of availability.
bool is_integrity(FaultKind kind);

// Does the process end in abort() by it?
bool is_abort(FaultKind kind);

// Does such a fault name the function whose frame was overflowed? Run by the engine, that function
// is stopped at the store, before its canary or return address is reached: a stack_overwrite.
bool is_foreseen_next_time(FaultKind kind);

// To be told to whoever watches over the machine's security, healed or not.
bool is_security_event(FaultKind kind);

enum class Access : u8 { none = 0, read = 1, write = 2, execute = 3 };

struct Fault {
  FaultKind kind;
  Access access;
  u8 signal;    // SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT; 0 when no signal was raised (yet)
  u8 trap;      // processor exception vector (0 #DE, 6 #UD, 13 #GP, 14 #PF, 16 #MF, 17 #AC, 19 #XM,
                // 21 #CP)
  i32 code;     // si_code
  u64 address;  // address of the data access, or the target of a bad jump; 0 where there is none
  u64 error_code;  // page-fault error code as the kernel delivers it in REG_ERR
  Registers registers;
};

// The same as `fault = Fault{}`, but never a call of libc's memset (see copy_registers).
inline void clear_fault(Fault& fault) {
  static_assert(sizeof(Fault) % sizeof(u64) == 0);
  Fault* target = &fault;
  u64 words = sizeof(Fault) / sizeof(u64);
  asm volatile("rep stosq" : "+D"(target), "+c"(words) : "a"(0) : "memory");
}

// First address that counts as a plain wild access and not as a NULL pointer with an offset.
inline constexpr u64 null_page_end = 0x10000;

const char* name_of(FaultKind kind);
const char* name_of(Access access);

}  // namespace selfheal
