// Does a region handle one request, or wait for the next as well?
//
//   handle_request      read(7) .. send(5), read(5) .. write(7)           one request
//   connection_loop     read(7) .. write(7) .. read(7)                    serves: here is the next
//   main_loop           epoll_wait .. accept                              serves
//
// A rescue point whose extent holds several requests would take back what was done for those that
// were answered, and run in the engine for ever. So its system calls tell: a descriptor that was
// read from first, then written to, and is read from again; a connection taken; or many waits, a
// read after a write among them. What is written to first is a back end's.
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

struct Serving {
  static constexpr u32 capacity = 16;
  static constexpr u32 most_waits = 64;
  struct Peer {
    u32 descriptor;
    bool client;    // it was read from first
    bool answered;  // and written to
  };
  u32 waits;
  u32 count;
  bool spoke;  // something was written since the last read
  Peer peers[capacity];
};

inline void forget(Serving& serving) {
  serving.waits = serving.count = 0;
  serving.spoke = false;
}

// A system call of the guest, and its first argument.
[[gnu::cold]] bool turns_out_to_serve(Serving& serving, u64 number, u64 descriptor);

}  // namespace selfheal::emulator
