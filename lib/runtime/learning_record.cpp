// Sampling and counting, while the guest's vector registers are live: built with
// -mgeneral-regs-only.
#include "emulator/guard.h"
#include "lib/runtime/learning.h"
#include "lib/runtime/result_use.h"
#include "lib/runtime/runtime.h"

namespace selfheal::runtime {
namespace {

constexpr u32 first_samples = 64;
constexpr u64 share = 32;  // of the time may go to the engine
constexpr u32 most_skipped = 1 << 20;

u64 cycles() {
  u32 low;
  u32 high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return u64{high} << 32 | low;
}

// Samples lost between two threads that change the same words at once do not matter.
u32 read(const u32& word) {
  return __atomic_load_n(&word, __ATOMIC_RELAXED);
}
void write(u32& word, u32 value) {
  __atomic_store_n(&word, value, __ATOMIC_RELAXED);
}

}  // namespace

bool take_sample(Region& region) {
  Sampling& sampling = region.sampling;
  const u32 period = static_cast<u32>(runtime.store.learning.period());
  if (period == static_cast<u32>(store::Period::off)) {
    return false;
  }
  if (period != read(sampling.period)) {
    write(sampling.period, period);
    write(sampling.taken, 0);
    write(sampling.skip, 0);
    write(sampling.left, 0);
  }
  if (const u32 left = read(sampling.left); left != 0) {
    write(sampling.left, left - 1);
    return false;
  }
  sampling.begun = cycles();
  return true;
}

// What one sample cost, and how long the one before it is gone, say how many calls to skip.
void end_sample(Region& region) {
  Sampling& sampling = region.sampling;
  const u64 now = cycles();
  const u64 cost = now - sampling.begun;
  const u64 passed = now - sampling.ended;
  const u32 taken = read(sampling.taken);
  const u32 skip = read(sampling.skip);
  sampling.ended = now;
  if (taken < first_samples) {
    write(sampling.taken, taken + 1);
    return;
  }
  if (cost > passed / share) {
    write(sampling.skip, skip < most_skipped ? 2 * skip + 1 : skip);
  } else if (cost < passed / (4 * share)) {
    write(sampling.skip, skip / 2);
  }
  write(sampling.left, read(sampling.skip));
}

void note_return(Region& region, u64 return_address, u64 value) {
  const i32 cell = __atomic_load_n(&region.watched_cell, __ATOMIC_RELAXED) - 1;
  if (cell < 0) {
    return;
  }
  KnownCall& call = region.calls_seen[return_address / 2 % calls_kept];
  if (__atomic_load_n(&call.return_address, __ATOMIC_ACQUIRE) != return_address) {
    const emulator::VectorScope keep;
    __atomic_store_n(&call.return_address, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&call.used, result_is_used(return_address), __ATOMIC_RELEASE);
    __atomic_store_n(&call.return_address, return_address, __ATOMIC_RELEASE);
  }
  if (__atomic_load_n(&call.used, __ATOMIC_ACQUIRE)) {
    runtime.store.learning.count(cell, value);
  }
}

}  // namespace selfheal::runtime
