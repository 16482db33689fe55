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

__attribute__((visibility("hidden"))) void selfheal_look_at_generation() {
  const u64 now = __atomic_load_n(__atomic_load_n(&selfheal_generation_word, __ATOMIC_ACQUIRE),
                                  __ATOMIC_ACQUIRE);
  if (in_vfork_child()) {
    return;
  }
  const int kept = errno;
  if (hooks().progress == nullptr || hooks().progress()) {
    this_thread().seen = now;
  }
  errno = kept;
}
}

void note_blocking_call() {
  ++this_thread().progress;
  if (*selfheal_generation_word != this_thread().seen) {
    selfheal_look_at_generation();
  }
}

void watch_generation(const u64* word) {
  if (word == nullptr) {
    word = &never_changes;
  }
  this_thread().seen = *word;
  __atomic_store_n(&selfheal_generation_word, word, __ATOMIC_RELEASE);
}

void look_again() {
  this_thread().seen = *selfheal_generation_word - 1;
}

u64 progress_count() {
  return this_thread().progress;
}

}  // namespace selfheal::probes
