// Connections that heals left behind.
//
//   client    request ──►                       close ──►
//   server              read  fault, heal  wait          (nothing)      wait ...
//   kernel                                       CLOSE_WAIT ───────────────────►
//
// A healed function's error may be lost on the way: its caller goes on waiting for something that
// never comes, and the request is neither answered nor its connection closed, not even when the
// client has given up and closed its own end. The heal stuck, and the process has a descriptor
// less. Nothing of that is seen in the code; the kernel sees it: the connection stays in CLOSE_WAIT
// (RFC 9293, 3.3.2), which well-behaved servers leave at once. So for a minute after a heal,
// sockets are looked at twice a second, in blocking calls that are made anyway: where the client
// closed more than a second ago, and what it said last was said when a candidate was healing, that
// speaks against the candidate (store/levels.h), which leads to a function further out, at once
// (moved_candidates.h).
//
// Only TCP connections, only in processes that accept some, and only while no seccomp filter is
// there that might mind.
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

// `candidate` (store/levels.h) has healed. Signal-safe.
void watch_connections(u64 candidate);

// Ordinary context, at a blocking call. True: wants to look again later.
bool look_at_connections();

// In a fork child: connections are the parent's to close.
void forget_connections();

}  // namespace selfheal::runtime
