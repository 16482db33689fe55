// Code that the program may write at any time: its own, generated at run time or put on the stack.
//
//   block ──► ops[0] do_verify_code ──► ops[1]... instructions, up to a store ──► go on
//                 │ immediate
//                 ▼
//             ChangingCode: the bytes it was decoded from ──older──► other bytes at that address
//
// Before each execution of a block its bytes are compared with memory, so it does not matter who
// wrote there, through which mapping, or whether the kernel did; a store ends its block, for it may
// have written to what follows. What was decoded from other bytes is kept for
// when they come back: trampolines and patched call sites take few forms. Whether the memory is
// (still) executable is asked once, and again after each code_moved().
#pragma once

#include <sys/syscall.h>

#include "emulator/machine.h"

namespace selfheal::emulator {

// No block of such code is longer: a few words to compare.
inline constexpr u64 changing_size = 32;

struct ChangingCode {
  const Block* block;
  const ChangingCode* older;
  u64 bytes[changing_size / 8];  // of the instructions, and zeros
  u64 masks[changing_size / 8];  // ones where there are bytes of them
  u32 versions;                  // in the list that begins here
  u32 size;
  mutable std::atomic<u64> generation;  // of all code, when this was last known to be executable
};

// Above this many forms of the code at an address it is left to the processor.
inline constexpr u32 max_versions = 256;

// Fills in what is compared: `bytes` as they are in memory, our own patches included.
void set_bytes(ChangingCode& code, const u8* bytes, u32 size);

// Reads the code; a fault in there is taken for one of fetching it.
bool is_as_decoded(const ChangingCode& code, u64 rip);

// A system call after which memory may have ceased to be executable, or code to be stable?
constexpr bool changes_protection(u32 number) {
  return number == SYS_mprotect || number == SYS_munmap || number == SYS_pkey_mprotect ||
         number == SYS_shmdt;
}
// The guest has made one; its arguments are still in its registers.
void note_protection_call(const Thread& t);

// The list at the head of which `block` stands; nullptr: it is of stable code.
const ChangingCode* changing_code_of(const Block& block);

}  // namespace selfheal::emulator
