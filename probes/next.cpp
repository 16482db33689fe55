#include "probes/next.h"

#include <dlfcn.h>
#include <errno.h>

#include "lib/base/types.h"

namespace selfheal::probes {
namespace {

struct Entry {
  const char* name;
  void** slot;
};

}  // namespace

// The linker names the ends of a section whose name is a C identifier.
extern "C" __attribute__((visibility("hidden"))) Entry __start_selfheal_next_table[];
extern "C" __attribute__((visibility("hidden"))) Entry __stop_selfheal_next_table[];

extern "C" __attribute__((visibility("hidden"))) void* selfheal_resolve_next(Entry* entry) {
  const int kept = errno;
  void* next = dlsym(RTLD_NEXT, entry->name);
  if (next == nullptr) {
    __builtin_trap();
  }
  __atomic_store_n(entry->slot, next, __ATOMIC_RELAXED);
  errno = kept;
  return next;
}

void resolve_all_next() {
  for (Entry* entry = __start_selfheal_next_table; entry != __stop_selfheal_next_table; ++entry) {
    if (void* next = dlsym(RTLD_NEXT, entry->name)) {
      __atomic_store_n(entry->slot, next, __ATOMIC_RELAXED);
    }
  }
  dlerror();
}

}  // namespace selfheal::probes
