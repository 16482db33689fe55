#include "lib/runtime/memory_map.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "lib/base/raw_syscall.h"

namespace selfheal::runtime {
namespace {

// One line at a time, out of a file that cannot be mapped. A line longer than the buffer (the path
// is what is long) is read in pieces, of which only the first has what we want.
class Lines {
 public:
  Lines()
      : fd_(raw_syscall(SYS_openat, static_cast<u64>(AT_FDCWD), address_of("/proc/self/maps"),
                        O_RDONLY | O_CLOEXEC)) {}
  ~Lines() {
    if (!syscall_failed(fd_)) {
      raw_syscall(SYS_close, static_cast<u64>(fd_));
    }
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  // -1: the end.
  int next() {
    if (at_ == size_ && !fill()) {
      return -1;
    }
    return text_[at_++];
  }
  bool skip_line() {
    for (int c = next(); c != -1; c = next()) {
      if (c == '\n') {
        return true;
      }
    }
    return false;
  }
  // A hexadecimal number and the character after it.
  bool number(u64& value, int& after) {
    value = 0;
    for (after = next();; after = next()) {
      const int digit = after >= '0' && after <= '9'   ? after - '0'
                        : after >= 'a' && after <= 'f' ? after - 'a' + 10
                                                       : -1;
      if (digit < 0) {
        return after != -1;
      }
      value = value << 4 | static_cast<u64>(digit);
    }
  }

 private:
  bool fill() {
    if (syscall_failed(fd_)) {
      return false;
    }
    const long got =
        raw_syscall(SYS_pread64, static_cast<u64>(fd_), address_of(text_), sizeof text_, offset_);
    at_ = 0;
    size_ = got > 0 ? static_cast<u64>(got) : 0;
    offset_ += size_;
    return size_ != 0;
  }

  long fd_;
  u64 offset_ = 0;
  u64 at_ = 0;
  u64 size_ = 0;
  u8 text_[4096];
};

}  // namespace

bool find_mapping(u64 address, Mapping& mapping) {
  Lines lines;
  int after = 0;
  while (lines.number(mapping.begin, after) && lines.number(mapping.end, after)) {
    if (address < mapping.begin) {
      return false;
    }
    if (address < mapping.end) {
      // rwxp
      lines.next();
      lines.next();
      mapping.executable = lines.next() == 'x';
      return true;
    }
    if (!lines.skip_line()) {
      return false;
    }
  }
  return false;
}

}  // namespace selfheal::runtime
