#include "probes/blocking_calls.h"

#include <errno.h>

#include "probes/hooks.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

constinit const u64 never_changes = 0;

// A step that the word, which counts changes of a file, does not make.
constexpr u64 one_piece_of_news = u64{1} << 40;

}  // namespace

// Read and written by forwards.S: the word, and what is added to it for news of this process's own;
// whether a connection was ever accepted.
extern "C" {
__attribute__((visibility("hidden"))) constinit bool selfheal_serves = false;

__attribute__((visibility("hidden"))) constinit const u64* selfheal_generation_word =
    &never_changes;
__attribute__((visibility("hidden"))) constinit u64 selfheal_news = 0;
}

namespace {

u64 generation_and_news() {
  const u64* word = __atomic_load_n(&selfheal_generation_word, __ATOMIC_ACQUIRE);
  return __atomic_load_n(word, __ATOMIC_ACQUIRE) +
         __atomic_load_n(&selfheal_news, __ATOMIC_ACQUIRE);
}

void look(BlockingCall call) {
  const u64 now = generation_and_news();
  if (in_vfork_child()) {
    return;
  }
  const int kept = errno;
  if (hooks().progress == nullptr || hooks().progress(call)) {
    this_thread().seen = now;
  }
  errno = kept;
}

}  // namespace

// Called by forwards.S.
extern "C" {
__attribute__((visibility("hidden"))) void selfheal_look_at_generation() {
  look(BlockingCall::takes);
}
__attribute__((visibility("hidden"))) void selfheal_look_while_waiting() {
  look(BlockingCall::waits);
}
}

void note_waiting_call() {
  ++this_thread().progress;
  if (generation_and_news() != this_thread().seen) {
    look(BlockingCall::waits);
  }
}

void watch_generation(const u64* word) {
  if (word == nullptr) {
    word = &never_changes;
  }
  __atomic_store_n(&selfheal_generation_word, word, __ATOMIC_RELEASE);
  this_thread().seen = generation_and_news();
}

void look_again() {
  this_thread().seen = generation_and_news() - 1;
}

void look_again_everywhere() {
  __atomic_fetch_add(&selfheal_news, one_piece_of_news, __ATOMIC_ACQ_REL);
}

bool serves() {
  return __atomic_load_n(&selfheal_serves, __ATOMIC_RELAXED);
}

u64 progress_count() {
  return this_thread().progress;
}

}  // namespace selfheal::probes
