// Threads, modules and processes: what has to run natively as a whole.
#include <initializer_list>
#include <link.h>
#include <pthread.h>

#include "emulator/models_internal.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

namespace {

EffectResult irrevocable(Thread& thread, u32 system_call) {
  thread.log.note_irrevocable(system_call);
  const NativeScope native(&thread);
  return returns_int(thread, call_native_on_guest_stack(thread));
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

// A thread that cancels itself unwinds its own stack perhaps, which is the guest's to do.
EffectResult model_thread_cancel(Thread& thread) {
  constexpr u64 self_offset = 0x10;  // of pthread_self() from the thread pointer (glibc, tls.h)
  u64 self;
  asm("mov %%fs:%c1, %0" : "=r"(self) : "i"(self_offset));
  return argument(thread, 0) == self ? EffectResult::interpret : irrevocable(thread, SYS_tgkill);
}

// A module's thread-local block may be allocated on first use; it then stays, rollback or not.
EffectResult model_tls_address(Thread& thread) {
  const NativeScope native(&thread);
  return returns(thread, call_at(thread.guest.rip, argument(thread, 0)));
}

// The loader. dlopen, dlclose, dlsym and their kind, and libc itself when it loads something (name
// services, character sets, the unwinder), all come to one function, which catches the loader's
// errors:
//
//   dlopen(file, mode) ─► _dlerror_run ─► _dl_catch_error(..., operate, arguments) ─►
//   operate(arguments) └──── interpreted: reads its true ──┘ └──── natively, on the guest's stack
//   ──────────────────────┘
//         caller off the guest's stack
//
// So whoever depends on the caller (namespaces, RPATH, RTLD_NEXT) is right, the loader's lists,
// which other threads walk, are never undone by value, and constructors run at full speed. What was
// loaded stays loaded; what was unloaded is gone.
namespace {

struct Changes {
  u64 loaded;
  u64 unloaded;
};

// The loader's own counts. 0 where the program has no dl_iterate_phdr.
Changes count_changes() {
  Changes changes{0, 0};
  if (native_functions.dl_iterate_phdr != 0) {
    constexpr auto look = [](dl_phdr_info* info, u64, void* data) {
      *static_cast<Changes*>(data) = {info->dlpi_adds, info->dlpi_subs};
      return 1;
    };
    call_at(native_functions.dl_iterate_phdr,
            address_of_function(static_cast<int (*)(dl_phdr_info*, u64, void*)>(look)),
            address_of(&changes));
  }
  return changes;
}

}  // namespace

// _dl_catch_error(&object, &text, &text_is_malloced, operate, arguments)
EffectResult model_loader(Thread& thread) {
  for (const unsigned result : {0U, 1U, 2U}) {
    if (!keep_result(thread, argument(thread, result), result < 2 ? sizeof(char*) : sizeof(bool))) {
      return EffectResult::unsupported;
    }
  }
  thread.log.run_deferred();
  const NativeScope native(&thread);
  const Changes before = count_changes();
  const u64 error = call_native_on_guest_stack(thread);
  const Changes after = count_changes();
  if (after.loaded != before.loaded) {
    thread.log.note_irrevocable(SYS_mmap);
  }
  if (after.unloaded != before.unloaded) {
    thread.log.note_irrevocable(SYS_munmap);
  }
  return returns_int(thread, error);
}

// A libc whose inner function cannot be recognised: the region is committed first.
EffectResult model_loader_entry(Thread&) {
  return native_functions.loader != 0 ? EffectResult::interpret : EffectResult::unsupported;
}

// Heap services that take their operation as text.
EffectResult model_leaves(Thread&) {
  return EffectResult::unsupported;
}

}  // namespace selfheal::emulator
