#include "probes/blocking_calls.h"

#include <errno.h>

#include "probes/hooks.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

constinit const u64 never_changes = 0;

}  // namespace

// Read by forwards.S.
extern "C" {
__attribute__((visibility("hidden"))) constinit const u64* selfheal_generation_word =
    &never_changes;
__attribute__((visibility("hidden"))) constinit u64 selfheal_seen_generation = 0;

__attribute__((visibility("hidden"))) void selfheal_look_at_generation() {
  const u64 now = __atomic_load_n(__atomic_load_n(&selfheal_generation_word, __ATOMIC_ACQUIRE),
                                  __ATOMIC_ACQUIRE);
  // One thread a value; the others go on.
  if (__atomic_exchange_n(&selfheal_seen_generation, now, __ATOMIC_ACQ_REL) != now &&
      hooks().progress != nullptr && !in_vfork_child()) {
    const int kept = errno;
    hooks().progress();
    errno = kept;
  }
}
}

void note_blocking_call() {
  ++this_thread().progress;
  if (*selfheal_generation_word != selfheal_seen_generation) {
    selfheal_look_at_generation();
  }
}

void watch_generation(const u64* word) {
  if (word == nullptr) {
    word = &never_changes;
  }
  __atomic_store_n(&selfheal_seen_generation, *word, __ATOMIC_RELAXED);
  __atomic_store_n(&selfheal_generation_word, word, __ATOMIC_RELEASE);
}

u64 progress_count() {
  return this_thread().progress;
}

}  // namespace selfheal::probes
