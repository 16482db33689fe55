// pthread_cancel. libc sets its handler for SIGCANCEL behind our back, in the first call of this
// function. It has to be wrapped before the first real one is sent: the handler unwinds the stack
// from where the signal found the thread, which must be the application's code.
#include <pthread.h>

#include "probes/asynchronous.h"
#include "probes/interpose.h"
#include "probes/next.h"

namespace selfheal::probes {
namespace {

constexpr int sigcancel = 32;

// A cancellation that nobody will act upon.
void* cancel_oneself(void*) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  selfheal_next_pthread_cancel(pthread_self());
  return nullptr;
}

void have_handler_set() {
  pthread_t thread;
  if (selfheal_next_pthread_create(&thread, nullptr, cancel_oneself, nullptr) == 0) {
    pthread_join(thread, nullptr);
  }
}

}  // namespace

SELFHEAL_INTERPOSE(int, pthread_cancel, pthread_t thread) {
  if (needs_wrapping(sigcancel)) {
    have_handler_set();
    adopt_handler(sigcancel);
  }
  return selfheal_next_pthread_cancel(thread);
}

}  // namespace selfheal::probes
