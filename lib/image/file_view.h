// A file's bytes, mapped read-only and given as a bounds-checked view. Raw system calls only, so
// that it also works from our constructor. A file cut short by somebody while we look at it raises
// SIGBUS, as it does in every ELF tool.
#pragma once

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/raw_syscall.h"
#include "lib/base/types.h"

namespace selfheal::image {

// Bytes whose every access is checked.
struct Bytes {
  const u8* data = nullptr;
  u64 size = 0;

  bool holds(u64 offset, u64 count) const { return offset <= size && count <= size - offset; }

  template <typename T>
  bool read(u64 offset, T& value) const {
    if (!holds(offset, sizeof(T))) {
      return false;
    }
    std::memcpy(&value, data + offset, sizeof(T));
    return true;
  }

  // A string that ends inside the bytes, or null.
  const char* string(u64 offset) const {
    return offset < size && std::memchr(data + offset, 0, size - offset) != nullptr
               ? reinterpret_cast<const char*>(data + offset)
               : nullptr;
  }

  Bytes part(u64 offset, u64 count) const {
    return holds(offset, count) ? Bytes{data + offset, count} : Bytes{};
  }
};

class FileView {
 public:
  explicit FileView(const char* path) {
    // O_NONBLOCK: a FIFO of that name must not hang us.
    const long fd = raw_syscall(SYS_openat, static_cast<u64>(AT_FDCWD), address_of(path),
                                O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (syscall_failed(fd)) {
      error_ = static_cast<i32>(-fd);
      return;
    }
    map(static_cast<u64>(fd));
    raw_syscall(SYS_close, static_cast<u64>(fd));
  }
  FileView(const FileView&) = delete;
  FileView& operator=(const FileView&) = delete;
  ~FileView() {
    if (bytes_.data != nullptr) {
      raw_syscall(SYS_munmap, address_of(bytes_.data), bytes_.size);
    }
  }

  const Bytes& bytes() const { return bytes_; }  // empty when it could not be mapped
  i32 error() const { return error_; }           // 0, or an errno value

 private:
  void map(u64 fd) {
    struct stat status {};
    const long got = raw_syscall(SYS_fstat, fd, address_of(&status));
    if (syscall_failed(got)) {
      error_ = static_cast<i32>(-got);
      return;
    }
    if (!S_ISREG(status.st_mode)) {
      error_ = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
      return;
    }
    if (status.st_size == 0) {
      return;
    }
    const u64 size = static_cast<u64>(status.st_size);
    const long at = raw_syscall(SYS_mmap, 0, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (syscall_failed(at)) {
      error_ = static_cast<i32>(-at);
      return;
    }
    bytes_ = {pointer_to<const u8>(static_cast<u64>(at)), size};
  }

  Bytes bytes_;
  i32 error_ = 0;
};

}  // namespace selfheal::image
