// One word a signal says which of a few slots holds its disposition:
//
//      state:  version ........ | reset | slot      slots:  [0] [1] [2] ... [15]
//
// A writer claims a free slot, fills it, swaps the word, and then owns the slot it replaced: it
// reads the old disposition there and frees it. A reader copies the slot and checks that the word
// has not changed. A writer that is interrupted, or does not exist any more in a fork child, holds
// one slot and blocks nobody.
#include "probes/dispositions.h"

#include <array>
#include <atomic>

#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

constexpr u64 slot_mask = 0xff;
constexpr u64 reset_bit = 0x100;
constexpr u64 version_step = 0x10000;
constexpr unsigned slot_count = 16;

struct Slot {
  std::atomic<bool> claimed{false};
  std::atomic<u64> word[4] = {};

  void store(const Disposition& d) {
    word[0].store(d.handler, std::memory_order_relaxed);
    word[1].store(d.flags, std::memory_order_relaxed);
    word[2].store(d.restorer, std::memory_order_relaxed);
    word[3].store(d.mask, std::memory_order_relaxed);
  }
  Disposition load() const {
    return {word[0].load(std::memory_order_relaxed), word[1].load(std::memory_order_relaxed),
            word[2].load(std::memory_order_relaxed), word[3].load(std::memory_order_relaxed)};
  }
};

struct Entry {
  std::atomic<u64> state{slot_mask};  // no slot: the default disposition
  Slot slot[slot_count];

  Disposition load(u64 seen) const {
    const u64 index = seen & slot_mask;
    Disposition d = index == slot_mask ? Disposition{} : slot[index].load();
    if (seen & reset_bit) {
      d.handler = 0;
    }
    return d;
  }
};

// Signals 1 to 31: ours are among them.
constinit std::array<Entry, 32> table{};

constinit u64 restorer_address = 0;

Entry& entry_of(int signal) {
  return table[static_cast<unsigned>(signal) % table.size()];
}

u64 claim(Entry& entry) {
  for (u64 i = 0;; i = (i + 1) % slot_count) {
    if (!entry.slot[i].claimed.exchange(true, std::memory_order_acquire)) {
      return i;
    }
  }
}

}  // namespace

Disposition disposition(int signal) {
  const Entry& entry = entry_of(signal);
  for (;;) {
    const u64 seen = entry.state.load(std::memory_order_acquire);
    const Disposition d = entry.load(seen);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (entry.state.load(std::memory_order_relaxed) == seen) {
      return d;
    }
  }
}

bool application_handles(int signal) {
  return disposition(signal).has_handler();
}

bool has_default_action(int signal) {
  const Disposition d = disposition(signal);
  return !d.has_handler() && !d.is_ignored();
}

Disposition exchange_disposition(int signal, const Disposition& wanted) {
  Entry& entry = entry_of(signal);
  const u64 mine = claim(entry);
  entry.slot[mine].store(wanted);
  u64 seen = entry.state.load(std::memory_order_relaxed);
  while (!entry.state.compare_exchange_weak(
      seen, (seen & ~(version_step - 1)) + version_step + mine, std::memory_order_acq_rel)) {
  }
  const Disposition before = entry.load(seen);
  if ((seen & slot_mask) != slot_mask) {
    entry.slot[seen & slot_mask].claimed.store(false, std::memory_order_release);
  }
  return before;
}

Disposition take_disposition(int signal) {
  Entry& entry = entry_of(signal);
  for (;;) {
    u64 seen = entry.state.load(std::memory_order_acquire);
    const Disposition d = entry.load(seen);
    if (!d.has_handler() || !(d.flags & SA_RESETHAND)) {
      std::atomic_thread_fence(std::memory_order_acquire);
      if (entry.state.load(std::memory_order_relaxed) == seen) {
        return d;
      }
    } else if (entry.state.compare_exchange_strong(seen, seen | reset_bit,
                                                   std::memory_order_acq_rel)) {
      return d;
    }
  }
}

void set_libc_restorer(u64 address) {
  restorer_address = address;
}

Disposition from_libc(const struct sigaction& action) {
  // The flags the kernel knows; SA_RESTORER because libc passes its restorer for every action.
  constexpr u64 restorer = 0x04000000;
  constexpr u64 expose_tag_bits = 0x800;
  constexpr u64 known = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART |
                        u64{SA_NODEFER} | u64{SA_RESETHAND} | expose_tag_bits;
  Disposition d{};
  d.handler = reinterpret_cast<u64>(action.sa_handler);
  d.flags = (static_cast<u32>(action.sa_flags) & known) | restorer;
  d.mask = mask_word(action.sa_mask) & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
  d.restorer = restorer_address;
  return d;
}

struct sigaction to_libc(const Disposition& d) {
  struct sigaction action {};
  action.sa_handler = reinterpret_cast<sighandler_t>(d.handler);
  action.sa_flags = static_cast<int>(d.flags);
  action.sa_restorer = reinterpret_cast<void (*)()>(d.restorer);
  mask_word(action.sa_mask) = d.mask;
  return action;
}

}  // namespace selfheal::probes
