// sigaltstack. The application's alternate stack is the kernel's while there is one (its handlers
// for all other signals run there); ours is when there is none. Our handler leaves the
// application's at once (selfheal_place_frame).
#include <errno.h>
#include <signal.h>

#include "probes/interpose.h"
#include "probes/kernel.h"
#include "probes/next.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

// What the kernel would say: the flag tells where the caller stands.
stack_t report(const Thread& thread) {
  stack_t seen = thread.application_stack;
  if (!thread.has_application_stack()) {
    seen.ss_flags |= SS_DISABLE;
    return seen;
  }
  if (thread.on_application_stack(address_of(__builtin_frame_address(0)))) {
    seen.ss_flags |= SS_ONSTACK;
  }
  return seen;
}

}  // namespace

SELFHEAL_INTERPOSE(int, sigaltstack, const stack_t* wanted, stack_t* before) {
  Thread& thread = this_thread();
  if (thread.own_stack == 0 || in_vfork_child()) {
    if (wanted != nullptr && !(wanted->ss_flags & SS_DISABLE)) {
      release_alternate_stack_flags();
    }
    return selfheal_next_sigaltstack(wanted, before);
  }
  const stack_t seen = report(thread);
  if (wanted != nullptr) {
    const stack_t set = *wanted;
    if (set.ss_flags & SS_DISABLE) {
      if (seen.ss_flags & SS_ONSTACK) {
        errno = EPERM;
        return -1;
      }
      const stack_t ours = own_stack_of(thread);
      if (selfheal_next_sigaltstack(&ours, nullptr) != 0) {
        return -1;
      }
      thread.application_stack = {nullptr, SS_DISABLE, 0};
    } else {
      release_alternate_stack_flags();
      if (selfheal_next_sigaltstack(&set, nullptr) != 0) {
        return -1;
      }
      thread.application_stack = set;
      thread.application_stack.ss_flags &= ~SS_ONSTACK;
    }
  }
  if (before != nullptr) {
    *before = seen;
  }
  return 0;
}

}  // namespace selfheal::probes
