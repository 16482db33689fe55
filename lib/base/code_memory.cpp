#include "lib/base/code_memory.h"

#include <initializer_list>
#include <linux/memfd.h>
#include <sys/mman.h>

#include "lib/base/raw_syscall.h"

namespace selfheal {
namespace {

// MAP_FIXED_NOREPLACE probing distance: coarse enough to cross 2 GiB in about a thousand tries.
constexpr u64 probe_step = 2 * 1024 * 1024;

long map_view(u64 address, u64 size, int protection, int flags, int fd) {
  return raw_syscall(SYS_mmap, address, size, static_cast<u64>(protection),
                     static_cast<u64>(MAP_SHARED | MAP_NORESERVE | flags), static_cast<u64>(fd), 0);
}

int make_memfd(u64 size) {
  const long fd = raw_syscall(SYS_memfd_create, address_of("selfheal-code"), MFD_CLOEXEC);
  if (syscall_failed(fd)) {
    return -1;
  }
  if (syscall_failed(raw_syscall(SYS_ftruncate, static_cast<u64>(fd), size))) {
    raw_syscall(SYS_close, static_cast<u64>(fd));
    return -1;
  }
  return static_cast<int>(fd);
}

long map_execute_view(u64 near, u64 size, int fd) {
  if (near == 0) {
    return map_view(0, size, PROT_READ | PROT_EXEC, 0, fd);
  }
  const u64 start = near & ~(probe_step - 1);
  for (u64 distance = probe_step; distance < 0x70000000; distance += probe_step) {
    for (const u64 candidate : {start - distance, start + distance}) {
      if (!within_rel32(near, candidate) || !within_rel32(near, candidate + size)) {
        continue;
      }
      const long at = map_view(candidate, size, PROT_READ | PROT_EXEC, MAP_FIXED_NOREPLACE, fd);
      if (at == static_cast<long>(candidate)) {
        return at;
      }
      if (!syscall_failed(at)) {
        raw_syscall(SYS_munmap, static_cast<u64>(at),
                    size);  // a kernel without NOREPLACE chose its own place
      }
    }
  }
  return -1;
}

long map_writer_view(u64 size, int fd) {
  const long at = map_view(0, size, PROT_READ | PROT_WRITE, 0, fd);
  if (!syscall_failed(at) &&
      syscall_failed(raw_syscall(SYS_madvise, static_cast<u64>(at), size, MADV_DONTFORK))) {
    raw_syscall(SYS_munmap, static_cast<u64>(at), size);
    return -1;
  }
  return at;
}

}  // namespace

bool CodeMemory::map(u64 near, u64 size) {
  const int fd = make_memfd(size);
  if (fd < 0) {
    return false;
  }
  const long execute = map_execute_view(near, size, fd);
  const long write = syscall_failed(execute) ? -1 : map_writer_view(size, fd);
  raw_syscall(SYS_close, static_cast<u64>(fd));
  if (syscall_failed(write)) {
    if (!syscall_failed(execute)) {
      raw_syscall(SYS_munmap, static_cast<u64>(execute), size);
    }
    return false;
  }
  write_ = static_cast<u64>(write);
  execute_ = static_cast<u64>(execute);
  size_ = size;
  used_ = 0;
  return true;
}

void CodeMemory::unmap() {
  if (write_ != 0) {
    raw_syscall(SYS_munmap, write_, size_);
  }
  if (size_ != 0) {
    raw_syscall(SYS_munmap, execute_, size_);
  }
  write_ = execute_ = size_ = used_ = 0;
}

u64 CodeMemory::allocate(u64 size, u64 alignment) {
  const u64 start = (used_ + alignment - 1) & ~(alignment - 1);
  if (start + size > size_) {
    return 0;
  }
  used_ = start + size;
  return execute_ + start;
}

bool CodeMemory::detach() {
  write_ = 0;  // not inherited; by now something else may be at its address
  const int fd = make_memfd(size_);
  u64 copied = 0;
  while (fd >= 0 && copied < used_) {
    const long n =
        raw_syscall(SYS_pwrite64, static_cast<u64>(fd), execute_ + copied, used_ - copied, copied);
    if (n <= 0) {
      break;
    }
    copied += static_cast<u64>(n);
  }
  const long write = fd >= 0 && copied >= used_ ? map_writer_view(size_, fd) : -1;
  const bool ok = !syscall_failed(write) &&
                  !syscall_failed(map_view(execute_, size_, PROT_READ | PROT_EXEC, MAP_FIXED, fd));
  if (fd >= 0) {
    raw_syscall(SYS_close, static_cast<u64>(fd));
  }
  if (ok) {
    write_ = static_cast<u64>(write);
    return true;
  }
  if (!syscall_failed(write)) {
    raw_syscall(SYS_munmap, static_cast<u64>(write), size_);
  }
  used_ = size_;
  return false;
}

}  // namespace selfheal
