// Decoded blocks of the whole process, by guest address.
//
//   table: atomic pointers, open addressing ──► blocks in bump memory, never moved, never reused
//
// Lookup takes no lock. Decoding is serialised by a spin lock that is only ever held for the time
// of one block; a thread that cannot get it goes native. A block whose code is gone is marked
// invalid and stays where it is: somebody may be executing it. Code that may change: see
// changing_code.h.
#pragma once

#include "emulator/machine.h"

namespace selfheal::emulator {

bool start_blocks(u64 size);
void unlock_blocks();  // in a fork child: the thread that held the lock is not here

// The block at `rip`, decoded now if need be; nullptr after stopping.
const Block* find_block(Thread& t, u64 rip);

// The same where code may change: a block of the bytes that are at `rip` now, and may be executed
// now.
const Block* find_version(Thread& t, u64 rip);

// Counts what happens to code as a whole: calls of forget_code and code_moved.
extern constinit std::atomic<u64> code_changes;
inline u64 code_generation() {
  return code_changes.load(std::memory_order_acquire);
}

// After an escape out of decoding.
void abandon_decoding(Machine& m);

// For the decoder, which holds the lock: memory for what it builds. nullptr: full.
void* block_memory(u64 size);

}  // namespace selfheal::emulator
