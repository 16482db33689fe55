// Output that waits for the region's end, so that half an answer is never followed by an error
// page.
//
//   write(7, "HTTP/1.1 200 OK…")   held: the guest is told that all was written
//   write(7, "<html><body>…")      held
//   read(7, …), lock, close(7) …   whoever acts on the output may be waited for: sent, irrevocable
//   the region ends                sent, oldest first
//   the region is rolled back      dropped: the peer has seen nothing, and gets the error page
//   alone
//
// To the guest it is what the kernel does with a stream: taken over now, on its way later. So only
// what the kernel would have taken over at once is held: of a stream socket, as much as there is
// room in its send buffer, with nothing that the kernel would have to answer otherwise (an address,
// ancillary data, urgent data). Anything else is written as ever, behind what is held.
//
// An error that the kernel would have reported at once (EPIPE, ECONNRESET) is seen by the next call
// instead. What cannot be sent in the end shuts the connection down: no peer ever gets a stream
// with a hole in it.
//
// Off unless the option hold-output asks for it. One for each thread, used by its thread only.
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

class Call;
struct Thread;

struct HeldOutput {
  u64 memory = 0;  // a mapping of HeldOutput::size bytes, made when first needed; 0: none
  u64 used = 0;    // bytes of it

  static constexpr u64 size = 256 * 1024;
};

// For all threads. Not signal-safe; before the first region.
void set_hold_output(bool hold);

// A write, writev, sendto or sendmsg: true if it is held and need not be made. `size` then says how
// many bytes the guest is told of.
bool hold_output(Call& call, u64& size);

// Sends what is held, oldest first. How many calls of the guest's that were.
u64 send_held_output(Thread& thread);
bool holds_output_for(const Thread& thread, u64 fd);
// All that was held after `used` bytes were: the rollback's half.
void drop_held_output(Thread& thread, u64 used);
void forget_held_output(Thread& thread);

}  // namespace selfheal::emulator
