#include "lib/base/fork_mark.h"

#include <sys/mman.h>

#include "lib/base/raw_syscall.h"

namespace selfheal {

bool ForkMark::start() {
  const long page = raw_syscall(SYS_mmap, 0, page_size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, ~u64{0}, 0);
  if (syscall_failed(page)) {
    return false;
  }
  if (syscall_failed(
          raw_syscall(SYS_madvise, static_cast<u64>(page), page_size, MADV_WIPEONFORK))) {
    raw_syscall(SYS_munmap, static_cast<u64>(page), page_size);
    return false;
  }
  page_ = static_cast<u64>(page);
  end_takeover();
  return true;
}

bool ForkMark::begin() {
  u64 expected = inherited;
  if (__atomic_compare_exchange_n(pointer_to<u64>(page_), &expected, in_progress, false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    return true;
  }
  while (word() == in_progress) {
    __builtin_ia32_pause();
  }
  return false;
}

void ForkMark::end_takeover() {
  __atomic_store_n(pointer_to<u64>(page_), taken_over, __ATOMIC_RELEASE);
}

}  // namespace selfheal
