#include "lib/runtime/process_memory.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include "lib/base/raw_syscall.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {

u64 peak_memory() {
  rusage usage{};
  if (!probes::no_filter_seen() ||
      syscall_failed(raw_syscall(SYS_getrusage, RUSAGE_SELF, address_of(&usage)))) {
    return 0;
  }
  return static_cast<u64>(usage.ru_maxrss) * 1024;
}

}  // namespace selfheal::runtime
