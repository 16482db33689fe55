// pthread_cleanup_push in C, for frames that are left for good after a first fault (mode=eager).
//
// Compiled without exceptions, it is a buffer in the frame that setjmp has filled, in a list that
// begins in the thread's descriptor (glibc, nptl: struct pthread_unwind_buf). When a thread ends,
// libc jumps to the buffer; the code there calls the handler, and then __pthread_unwind_next to
// have the next one jumped to. (With exceptions it is an object with a destructor: clean_up.h.)
//
//   thread descriptor ──► buffer of frame 0 ──► buffer of frame 2 ──► ... surviving frames
//                           │ jump
//                           ▼
//                         handler(argument); __pthread_unwind_next(buffer) ──diverted──► go on
#pragma once

#include "lib/base/registers.h"
#include "lib/base/types.h"

namespace selfheal::runtime {

// Finds out where the list begins, and diverts __pthread_unwind_next to `next`, which says false
// for a buffer it has not jumped to. Before other threads exist. Under runtime.changing. Without it
// there are no handlers.
void watch_cleanup_handlers(bool (*next)(u64 buffer));

// The calling thread's list: its first buffer, and the one behind a buffer; 0: none.
u64 first_cleanup_buffer();
u64 cleanup_buffer_behind(u64 buffer);

// What setjmp has left in it: rip, and the registers a function keeps. Where it jumps to, rax is
// not 0.
Registers cleanup_target(u64 buffer);

// The buffer, and all that were pushed after it, are not in the list any more.
void drop_cleanup_buffer(u64 buffer);

}  // namespace selfheal::runtime
