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

// What the thread is given stays its own, should the region be rolled back, if the region has made
// it: the usual argument is a fresh chunk of the heap. What lies behind pointers in there is not
// known.
EffectResult model_thread_create(Thread& thread) {
  if (!prepare(thread) || !keep_result(thread, argument(thread, 0), sizeof(pthread_t)) ||
      !thread.log.room()) {
    return EffectResult::unsupported;
  }
  const EffectResult result = irrevocable(thread, SYS_clone3);
  const u64 given = argument(thread, 3);
  const bool fresh = thread.log.find(Action::free_memory, given);
  if (static_cast<u32>(thread.guest.gpr[rax]) == 0 && given != 0) {
    const NativeScope native(&thread);
    const u64 size = fresh ? call_at(native_functions.malloc_usable_size, given) : 0;
    thread.log.give_away(given, given + size);
  }
  return result;
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

struct Module {
  u64 begin;
  u64 end;
};

// What is loaded, and the loader's own counts of what has been and was unloaded.
struct Modules {
  static constexpr unsigned capacity = 256;
  u64 loaded = 0;
  u64 unloaded = 0;
  unsigned count = 0;
  Module modules[capacity];

  Modules() {
  }  // NOLINT(modernize-use-equals-default): `= default` would clear the array, by memset
  bool has(const Module& module) const {
    for (unsigned i = 0; i < count; ++i) {
      if (modules[i].begin == module.begin && modules[i].end == module.end) {
        return true;
      }
    }
    return false;
  }
};

int note_module(dl_phdr_info* info, u64, void* data) {
  auto& all = *static_cast<Modules*>(data);
  Module module{~u64{0}, 0};
  for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    const u64 begin = page_down(info->dlpi_addr + header.p_vaddr);
    const u64 end = page_up(info->dlpi_addr + header.p_vaddr + header.p_memsz);
    if (header.p_type == PT_LOAD) {
      module.begin = begin < module.begin ? begin : module.begin;
      module.end = end > module.end ? end : module.end;
    }
  }
  all.loaded = info->dlpi_adds;
  all.unloaded = info->dlpi_subs;
  if (all.count < Modules::capacity) {
    all.modules[all.count++] = module;
  }
  return 0;
}

void list_modules(Modules& modules) {
  if (native_functions.dl_iterate_phdr != 0) {
    call_at(native_functions.dl_iterate_phdr, address_of_function(&note_module),
            address_of(&modules));
  }
}

// Memory of modules that are gone may be anybody's by now.
void give_away_unloaded(UndoLog& log, const Modules& before, const Modules& after) {
  for (unsigned i = 0; i < before.count; ++i) {
    const Module& module = before.modules[i];
    if (!after.has(module) && log.room()) {
      log.give_away(module.begin, module.end);
    }
  }
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
  Modules before;
  list_modules(before);
  const u64 error = call_native_on_guest_stack(thread);
  Modules after;
  list_modules(after);
  if (after.loaded != before.loaded) {
    thread.log.note_irrevocable(SYS_mmap);
  }
  if (after.unloaded != before.unloaded) {
    thread.log.note_irrevocable(SYS_munmap);
    give_away_unloaded(thread.log, before, after);
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
