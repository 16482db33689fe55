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

extern "C" __attribute__((visibility("hidden"))) Entry selfheal_next_table_begin[];
extern "C" __attribute__((visibility("hidden"))) Entry selfheal_next_table_end[];

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
  for (Entry* entry = selfheal_next_table_begin; entry != selfheal_next_table_end; ++entry) {
    if (void* next = dlsym(RTLD_NEXT, entry->name)) {
      __atomic_store_n(entry->slot, next, __ATOMIC_RELAXED);
    }
  }
  dlerror();
}

}  // namespace selfheal::probes
