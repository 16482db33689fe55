// Threads, modules and processes: what has to run natively as a whole.
#include <pthread.h>

#include "emulator/models_internal.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

namespace {

EffectResult irrevocable(Thread& thread, u32 system_call) {
  thread.log.note_irrevocable(system_call);
  const NativeScope native(&thread);
  return returns_int(thread, call_on_guest_stack(thread, thread.guest.rip, argument(thread, 0),
                                                 argument(thread, 1), argument(thread, 2),
                                                 argument(thread, 3), 0, 0));
}

}  // namespace

EffectResult model_thread_create(Thread& thread) {
  return keep_result(thread, argument(thread, 0), sizeof(pthread_t))
             ? irrevocable(thread, SYS_clone3)
             : EffectResult::unsupported;
}

// Others may wait for what we hold back while we wait for them.
EffectResult model_thread_join(Thread& thread) {
  const u64 result = argument(thread, 1);
  if (result != 0 && !keep_result(thread, result, sizeof(void*))) {
    return EffectResult::unsupported;
  }
  thread.log.run_deferred();
  return irrevocable(thread, SYS_futex);
}

EffectResult model_thread_cancel(Thread& thread) {
  return irrevocable(thread, SYS_tgkill);
}

// A module's thread-local block may be allocated on first use; it then stays, rollback or not.
EffectResult model_tls_address(Thread& thread) {
  const NativeScope native(&thread);
  return returns(thread, call_at(thread.guest.rip, argument(thread, 0)));
}

// What ends, doubles or reshapes the process, or must know its true caller (dlopen looks for the
// module that called it): the region is committed first.
EffectResult model_leaves(Thread& thread) {
  static_cast<void>(thread);
  return EffectResult::unsupported;
}

}  // namespace selfheal::emulator
