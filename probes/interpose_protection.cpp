// mprotect and pkey_mprotect: they make code of memory and memory of code, which an engine that
// keeps decoded code must hear of. libc's own calls of them (thread stacks, the heap) do not come
// here, and need not.
#include "probes/interpose.h"
#include "probes/next.h"
#include "probes/thread_state.h"

namespace selfheal::probes {
namespace {

int tell(int result, const void* begin, size_t size) {
  // After a failure, too: part of the range may have been changed.
  if (hooks().protection_changed != nullptr) {
    const u64 first = address_of(begin);
    hooks().protection_changed(first, first + page_up(size));
  }
  return result;
}

}  // namespace

SELFHEAL_INTERPOSE(int, mprotect, void* begin, size_t size, int protection) {
  return tell(selfheal_next_mprotect(begin, size, protection), begin, size);
}

SELFHEAL_INTERPOSE(int, pkey_mprotect, void* begin, size_t size, int protection, int key) {
  return tell(selfheal_next_pkey_mprotect(begin, size, protection, key), begin, size);
}

}  // namespace selfheal::probes
