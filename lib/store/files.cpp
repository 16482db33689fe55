#include "lib/store/files.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/base/raw_syscall.h"

namespace selfheal::store {
namespace {

u64 as_argument(int value) {
  return static_cast<u64>(static_cast<i64>(value));
}

// For file systems without fallocate: writing every block allocates it just as well.
long write_zeros(int fd, u64 size) {
  static constexpr u8 zeros[page_size] = {};
  for (u64 at = 0; at < size; at += page_size) {
    const u64 part = size - at < page_size ? size - at : page_size;
    if (const long result = write_at(fd, zeros, part, at); result < 0) {
      return result;
    }
  }
  return 0;
}

}  // namespace

void Descriptor::close() {
  if (open()) {
    raw_syscall(SYS_close, static_cast<u64>(fd_));
  }
  fd_ = -1;
}

long open_at(int directory, const char* name, int flags, u32 mode) {
  return raw_syscall(SYS_openat, as_argument(directory), address_of(name),
                     as_argument(flags | O_CLOEXEC), mode);
}

long status_of(int fd, FileStatus& out) {
  struct stat status = {};
  const long result = raw_syscall(SYS_fstat, as_argument(fd), address_of(&status));
  out = {status.st_dev, status.st_ino, static_cast<u64>(status.st_size), status.st_uid,
         status.st_mode};
  return result;
}

long read_at(int fd, void* to, u64 size, u64 offset) {
  u64 done = 0;
  while (done < size) {
    const long n = raw_syscall(SYS_pread64, as_argument(fd), address_of(to) + done, size - done,
                               offset + done);
    if (n == -EINTR) {
      continue;
    }
    if (n < 0) {
      return n;
    }
    if (n == 0) {
      break;
    }
    done += static_cast<u64>(n);
  }
  return static_cast<long>(done);
}

long write_at(int fd, const void* from, u64 size, u64 offset) {
  u64 done = 0;
  while (done < size) {
    const long n = raw_syscall(SYS_pwrite64, as_argument(fd), address_of(from) + done, size - done,
                               offset + done);
    if (n == -EINTR) {
      continue;
    }
    if (n <= 0) {
      return n == 0 ? -ENOSPC : n;
    }
    done += static_cast<u64>(n);
  }
  return 0;
}

long sync_file(int fd) {
  return raw_syscall(SYS_fsync, as_argument(fd));
}

long set_size(int fd, u64 size) {
  return raw_syscall(SYS_ftruncate, as_argument(fd), size);
}

long reserve_space(int fd, u64 size) {
  const long result = raw_syscall(SYS_fallocate, as_argument(fd), 0, 0, size);
  return result == -EOPNOTSUPP || result == -ENOSYS ? write_zeros(fd, size) : result;
}

long rename_in(int directory, const char* from, const char* to) {
  return raw_syscall(SYS_renameat, as_argument(directory), address_of(from), as_argument(directory),
                     address_of(to));
}

long link_in(int directory, const char* from, const char* to) {
  return raw_syscall(SYS_linkat, as_argument(directory), address_of(from), as_argument(directory),
                     address_of(to), 0);
}

long unlink_in(int directory, const char* name) {
  return raw_syscall(SYS_unlinkat, as_argument(directory), address_of(name), 0);
}

u32 effective_user() {
  return static_cast<u32>(raw_syscall(SYS_geteuid));
}

void* map_memory(u64 size) {
  const long result = raw_syscall(SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, as_argument(-1), 0);
  return syscall_failed(result) ? nullptr : pointer_to<void>(static_cast<u64>(result));
}

void unmap_memory(const void* memory, u64 size) {
  if (memory != nullptr) {
    raw_syscall(SYS_munmap, address_of(memory), size);
  }
}

Pages::Pages(Pages&& other) noexcept : memory_(other.memory_), size_(other.size_) {
  other.memory_ = nullptr;
  other.size_ = 0;
}

Pages& Pages::operator=(Pages&& other) noexcept {
  if (this != &other) {
    release();
    memory_ = other.memory_;
    size_ = other.size_;
    other.memory_ = nullptr;
    other.size_ = 0;
  }
  return *this;
}

bool Pages::reserve(u64 size) {
  release();
  memory_ = static_cast<u8*>(map_memory(page_up(size)));
  size_ = memory_ == nullptr ? 0 : page_up(size);
  return memory_ != nullptr;
}

void Pages::release() {
  unmap_memory(memory_, size_);
  memory_ = nullptr;
  size_ = 0;
}

void Pages::forbid_writes() const {
  raw_syscall(SYS_mprotect, address_of(memory_), size_, PROT_READ);
}

bool may_write(u64 size) {
  rlimit limit = {};
  const long result = raw_syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, address_of(&limit));
  return result == 0 && limit.rlim_cur >= size;
}

const char* reason_of(long result) {
  // glibc's table of constant English strings: no locale, no allocation.
  const char* text = strerrordesc_np(static_cast<int>(-result));
  return text != nullptr ? text : "unknown error";
}

}  // namespace selfheal::store
