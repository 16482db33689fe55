// File operations as raw system calls, for code that runs before main or inside a live server: no
// errno, no cancellation point, no interposition. Results are the kernel's: negative is -errno.
#pragma once

#include <fcntl.h>

#include "lib/base/types.h"
#include "lib/store/error.h"

namespace selfheal::store {

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(long fd = -1) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  bool open() const { return fd_ >= 0; }
  long result() const { return fd_; }  // the descriptor, or -errno
  int get() const { return static_cast<int>(fd_); }
  void reset(long fd) {
    close();
    fd_ = fd;
  }
  int release() {
    const int fd = get();
    fd_ = -1;
    return fd;
  }
  void close();

 private:
  long fd_;
};

struct FileStatus {
  u64 device;
  u64 inode;
  u64 size;
  u32 owner;
  u32 mode;
};

// `directory` is a descriptor or AT_FDCWD. O_CLOEXEC is always added.
long open_at(int directory, const char* name, int flags, u32 mode = 0);
long status_of(int fd, FileStatus& out);
long read_at(int fd, void* to, u64 size, u64 offset);           // bytes read, short at the end
long write_at(int fd, const void* from, u64 size, u64 offset);  // 0, or -errno
long sync_file(int fd);
long set_size(int fd, u64 size);
long reserve_space(int fd, u64 size);  // allocates all blocks now, so that no store can fail later
long rename_in(int directory, const char* from, const char* to);
long link_in(int directory, const char* from, const char* to);
long unlink_in(int directory, const char* name);
u32 effective_user();

// Private zeroed memory; nullptr when the system refuses.
void* map_memory(u64 size);
void unmap_memory(const void* memory, u64 size);

// Such memory with one owner, who gives it back by `release`. No destructor: what the runtime reads
// from the store lives as long as the process.
class Pages {
 public:
  Pages() = default;
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;

  bool reserve(u64 size);  // releases what there was; false when the system refuses
  void release();
  void forbid_writes() const;

  bool empty() const { return memory_ == nullptr; }
  u8* data() const { return memory_; }

 private:
  u8* memory_ = nullptr;
  u64 size_ = 0;
};

// False where RLIMIT_FSIZE would turn a write of a file of `size` bytes into SIGXFSZ.
bool may_write(u64 size);

// A file inside the store.
struct FilePath {
  FilePath(const char* directory, const char* name) {
    Text(text, sizeof text) << directory << '/' << name;
  }
  const char* c_str() const { return text; }
  char text[1100];
};

// "permission denied" and the like, for -errno results.
const char* reason_of(long result);

}  // namespace selfheal::store
