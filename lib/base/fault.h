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
  time_out = 10,            // a region did not end within its instruction or time budget
};

inline constexpr FaultKind last_fault_kind = FaultKind::time_out;

enum class Access : u8 { none = 0, read = 1, write = 2, execute = 3 };

struct Fault {
  FaultKind kind;
  Access access;
  u8 signal;    // SIGSEGV, SIGBUS, SIGFPE or SIGILL; 0 when seen before the processor raised one
  u8 trap;      // processor exception vector (0 #DE, 6 #UD, 13 #GP, 14 #PF, 16 #MF, 17 #AC, 19 #XM)
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
