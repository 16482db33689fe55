#include "lib/runtime/left_open.h"

#include <atomic>
#include <iterator>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "lib/base/raw_syscall.h"
#include "lib/runtime/runtime.h"
#include "lib/store/trials.h"
#include "probes/hooks.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

constexpr u64 ms = 1'000'000;
constexpr u64 interval = 500 * ms;      // between looks
constexpr u64 patience = 1000 * ms;     // for the server to close its end
constexpr u64 memory = 60'000 * ms;     // of heals
constexpr u64 reaction = 1000 * ms;     // from a request's arrival to the fault, at most
constexpr u64 inexact = 100 * ms;       // a request may arrive while its connection is accepted
constexpr u32 most_descriptors = 4096;  // looked at
constexpr u32 enough_closed = 128;      // in a row: there are no more
constexpr u8 close_wait = 8;            // TCP_CLOSE_WAIT, include/net/tcp_states.h

// Heals by one candidate with less than a second between them. CLOCK_MONOTONIC.
struct Stretch {
  std::atomic<u64> candidate;
  std::atomic<u64> from;
  std::atomic<u64> to;
};
constinit Stretch stretches[16] = {};
constinit std::atomic<u32> newest{0};

constinit std::atomic<bool> looking{false};
constinit std::atomic<u64> next_look{0};  // 0: nothing to look for
constinit u64 judged_until = 0;           // whose clients closed before; while `looking`

Stretch& stretch(u32 index) {
  return stretches[index % std::size(stretches)];
}

// Who healed when this arrived? 0: nobody. Where a candidate has just taken another one's place,
// the request may have come before that, and its heal is the older one's.
u64 candidate_at(u64 arrival) {
  const u32 oldest = newest.load() + 1;
  for (u32 i = 0; i < std::size(stretches); ++i) {
    const Stretch& s = stretch(oldest + i);
    if (s.candidate.load() != 0 && s.from.load() <= arrival + reaction &&
        arrival <= s.to.load() + inexact) {
      return s.candidate.load();
    }
  }
  return 0;
}

struct Connection {
  u64 arrival;  // of the last data
  u64 closed;   // by the client
};

enum class Socket : u8 { no_descriptor, other, waits };

Socket look_at(u32 descriptor, u64 now, Connection& connection) {
  tcp_info info{};
  u32 size = sizeof info;
  const long result = raw_syscall(SYS_getsockopt, descriptor, IPPROTO_TCP, TCP_INFO,
                                  address_of(&info), address_of(&size));
  if (result == -EBADF) {
    return Socket::no_descriptor;
  }
  if (result != 0 || info.tcpi_state != close_wait || info.tcpi_last_data_sent * ms < patience) {
    return Socket::other;
  }
  connection = {now - info.tcpi_last_data_recv * ms, now - info.tcpi_last_ack_recv * ms};
  return Socket::waits;
}

void judge_connections(u64 now) {
  const u64 until = now - patience;
  u32 closed = 0;
  for (u32 fd = 0; fd < most_descriptors && closed < enough_closed; ++fd) {
    Connection connection{};
    const Socket kind = look_at(fd, now, connection);
    closed = kind == Socket::no_descriptor ? closed + 1 : 0;
    if (kind != Socket::waits || connection.closed <= judged_until || connection.closed > until) {
      continue;
    }
    if (const u64 candidate = candidate_at(connection.arrival); candidate != 0) {
      store::count_left_open(runtime.store.journal, candidate);
    }
  }
  judged_until = until;
}

}  // namespace

void watch_connections(u64 candidate) {
  if (!probes::serves() || !probes::no_filter_seen()) {
    return;
  }
  const u64 now = monotonic_ns();
  Stretch& last = stretch(newest.load());
  if (last.candidate.load() == candidate && now - last.to.load() < reaction) {
    last.to.store(now);
  } else {
    Stretch& next = stretch(newest.fetch_add(1) + 1);
    next.to.store(0);
    next.candidate.store(candidate);
    next.from.store(now);
    next.to.store(now);
  }
  u64 nothing = 0;
  next_look.compare_exchange_strong(nothing, now + interval);
}

bool look_at_connections() {
  const u64 due = next_look.load();
  if (due == 0) {
    return false;
  }
  const u64 now = monotonic_ns();
  if (now < due || looking.exchange(true)) {
    return true;
  }
  judge_connections(now);
  const bool over = now - stretch(newest.load()).to.load() > memory;
  u64 expected = due;
  next_look.compare_exchange_strong(expected, over ? 0 : now + interval);
  looking.store(false);
  return !over;
}

void forget_connections() {
  for (Stretch& s : stretches) {
    s.candidate.store(0);
    s.to.store(0);
  }
  next_look.store(0);
  looking.store(false);
  judged_until = 0;
}

}  // namespace selfheal::runtime
