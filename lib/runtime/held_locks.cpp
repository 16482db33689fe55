#include "lib/runtime/held_locks.h"

#include <errno.h>
#include <iterator>

#include "lib/recover/image_view.h"
#include "lib/runtime/definitions.h"
#include "lib/runtime/protect.h"
#include "lib/runtime/stack_bounds.h"

namespace selfheal::runtime {
namespace {

using recover::Frame;

enum Call : unsigned {
  mutex_unlock,
  mutex_lock,
  mutex_trylock,
  mutex_timedlock,
  mutex_clocklock,
  rwlock_unlock,
  rwlock_rdlock,
  rwlock_tryrdlock,
  rwlock_timedrdlock,
  rwlock_clockrdlock,
  rwlock_wrlock,
  rwlock_trywrlock,
  rwlock_timedwrlock,
  rwlock_clockwrlock,
  call_count,
};

// Each kind of lock, by the calls that belong together: what releases it comes first.
constexpr Call unlock_of(Call call) {
  return call < rwlock_unlock ? mutex_unlock : rwlock_unlock;
}

using Native = int (*)(u64 lock, u64, u64);
constinit u64 native_paths[call_count] = {};

int native(Call call, u64 lock, u64 second = 0, u64 third = 0) {
  return reinterpret_cast<Native>(native_paths[call])(lock, second, third);
}

struct Held {
  u64 lock;
  Call unlock;
  u64 return_address;
  u64 rsp;  // what the caller has when it goes on
  u64 rbp;
};

// Who holds more than these at once keeps the rest.
struct HeldList {
  unsigned count;
  Held locks[16];
};
constinit thread_local HeldList held{};

void take_off(u64 lock) {
  for (unsigned i = held.count; i-- > 0;) {
    if (held.locks[i].lock == lock) {
      --held.count;
      for (unsigned k = i; k < held.count; ++k) {
        held.locks[k] = held.locks[k + 1];
      }
      return;
    }
  }
}

bool was_taken(int result) {
  return result == 0 || result == EOWNERDEAD;
}

// What a diverted call gets to; its frame pointer leads to the caller's. It is read first, as the
// rest may become a function of its own.
template <Call call>
int stand_in(u64 lock, u64 second, u64 third) {
  const auto* const frame = static_cast<const u64*>(__builtin_frame_address(0));
  if constexpr (call == unlock_of(call)) {
    const int result = native(call, lock);
    if (result == 0) {
      take_off(lock);
    }
    return result;
  }
  const int result = native(call, lock, second, third);
  if (was_taken(result) && held.count < std::size(held.locks)) {
    held.locks[held.count++] = {lock, unlock_of(call), frame[1], address_of(frame + 2), frame[0]};
  }
  return result;
}

struct Row {
  const char* name;
  Native stand_in;
};
constexpr Row rows[call_count] = {
    {"pthread_mutex_unlock", &stand_in<mutex_unlock>},
    {"pthread_mutex_lock", &stand_in<mutex_lock>},
    {"pthread_mutex_trylock", &stand_in<mutex_trylock>},
    {"pthread_mutex_timedlock", &stand_in<mutex_timedlock>},
    {"pthread_mutex_clocklock", &stand_in<mutex_clocklock>},
    {"pthread_rwlock_unlock", &stand_in<rwlock_unlock>},
    {"pthread_rwlock_rdlock", &stand_in<rwlock_rdlock>},
    {"pthread_rwlock_tryrdlock", &stand_in<rwlock_tryrdlock>},
    {"pthread_rwlock_timedrdlock", &stand_in<rwlock_timedrdlock>},
    {"pthread_rwlock_clockrdlock", &stand_in<rwlock_clockrdlock>},
    {"pthread_rwlock_wrlock", &stand_in<rwlock_wrlock>},
    {"pthread_rwlock_trywrlock", &stand_in<rwlock_trywrlock>},
    {"pthread_rwlock_timedwrlock", &stand_in<rwlock_timedwrlock>},
    {"pthread_rwlock_clockwrlock", &stand_in<rwlock_clockwrlock>},
};

u64 function_at(const Frame& frame) {
  image::Module module;
  image::Function function{};
  return recover::find_owner(recover::live_image(), frame.lookup_address(), module, function)
             ? function.start
             : 0;
}

// The activation is the one that made the call when both end at the same caller's stack pointer.
bool was_called_by(const Held& lock, const Frame& frame, const Frame& caller) {
  Frame site{};
  site.registers.rip = lock.return_address;
  site.registers.gpr[rsp] = lock.rsp;
  site.registers.gpr[rbp] = lock.rbp;
  site.known = 1u << rsp | 1u << rbp;
  Frame outer{};
  const u64 function = function_at(frame);
  return function != 0 && function == function_at(site) &&
         recover::step(site, stack_bounds(lock.rsp), outer) &&
         outer.registers.gpr[rsp] == caller.registers.gpr[rsp];
}

bool is_held_by(const Held& lock, std::span<const Frame> frames) {
  for (unsigned i = 0; i + 1 < frames.size(); ++i) {
    if (was_called_by(lock, frames[i], frames[i + 1])) {
      return true;
    }
  }
  return false;
}

}  // namespace

void watch_locks() {
  for (unsigned i = 0; i < call_count; ++i) {
    const auto call = static_cast<Call>(i);
    const u64 function = find_definition(rows[i].name);
    // A lock whose release would not be seen must not be noted.
    if (function != 0 && (call == unlock_of(call) || native_paths[unlock_of(call)] != 0) &&
        divert(function, address_of_function(rows[i].stand_in), native_paths[i],
               patch::Threads::one) != nullptr) {
      native_paths[i] = 0;
    }
  }
}

unsigned locks_held_by(std::span<const Frame> frames, std::span<u64> found) {
  unsigned count = 0;
  for (unsigned i = held.count; i-- > 0 && count < found.size();) {
    if (is_held_by(held.locks[i], frames)) {
      found[count++] = held.locks[i].lock;
    }
  }
  return count;
}

void release_lock(u64 lock) {
  for (unsigned i = held.count; i-- > 0;) {
    if (held.locks[i].lock == lock) {
      const Call unlock = held.locks[i].unlock;
      take_off(lock);
      native(unlock, lock);
      return;
    }
  }
}

}  // namespace selfheal::runtime
