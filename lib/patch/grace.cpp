#include "lib/patch/grace.h"

#include <fcntl.h>
#include <signal.h>
#include <string_view>
#include <sys/stat.h>

#include "lib/base/raw_syscall.h"
#include "lib/base/text.h"

namespace selfheal::patch {
namespace {

constexpr u64 max_stack_scan = 64 * 1024;  // a signal frame with AVX-512 state takes 3.5 KiB

class File {
 public:
  explicit File(const char* path, int flags = O_RDONLY)
      : fd_(raw_syscall(SYS_openat, static_cast<u64>(AT_FDCWD), address_of(path),
                        static_cast<u64>(flags | O_CLOEXEC))) {}
  ~File() {
    if (is_open()) {
      raw_syscall(SYS_close, fd());
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return !syscall_failed(fd_); }
  u64 fd() const { return static_cast<u64>(fd_); }

  // As text, ended by NUL; -errno on failure.
  long read(char* buffer, u64 capacity) const {
    const long n = raw_syscall(SYS_pread64, fd(), address_of(buffer), capacity - 1, 0);
    buffer[n > 0 ? n : 0] = '\0';
    return n;
  }

 private:
  long fd_;
};

struct LinuxDirent64 {
  u64 inode;
  i64 offset;
  u16 size;
  u8 type;
  char name[1];
};

i32 parse_number(const char* text) {
  i32 value = 0;
  for (; *text >= '0' && *text <= '9'; ++text) {
    value = value * 10 + (*text - '0');
  }
  return value;
}

// The directory's link count is 2 + the number of threads.
u32 count_links(const File& directory) {
  struct stat status = {};
  const long failed = raw_syscall(SYS_fstat, directory.fd(), address_of(&status));
  return failed != 0 || status.st_nlink < 3 ? 0 : static_cast<u32>(status.st_nlink - 2);
}

// Lists thread ids. The kernel's listing stops early when the thread it stands at ends in between
// (fs/proc/base.c, next_tid), so the count before and after has to agree with it. 0: cannot be
// told.
u32 list_threads(i32* threads, u32 capacity) {
  const File directory("/proc/self/task", O_RDONLY | O_DIRECTORY);
  if (!directory.is_open()) {
    return 0;
  }
  const u32 before = count_links(directory);
  u32 count = 0;
  alignas(8) char buffer[4096];
  for (;;) {
    const long n = raw_syscall(SYS_getdents64, directory.fd(), address_of(buffer), sizeof buffer);
    if (n <= 0) {
      break;
    }
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const LinuxDirent64*>(buffer + at);
      const i32 thread = parse_number(entry->name);
      if (thread != 0) {
        if (count == capacity) {
          return 0;
        }
        threads[count++] = thread;
      }
      at += entry->size;
    }
  }
  return count == before && count == count_links(directory) ? count : 0;
}

Text& task_path(Text& path, i32 thread, const char* file) {
  path << "/proc/self/task/";
  return path.decimal(static_cast<u64>(thread)) << "/" << file;
}

const char* skip_hex(const char* text, u64& value) {
  value = 0;
  for (text += 2; *text != '\0'; ++text) {  // behind 0x
    if (*text >= '0' && *text <= '9') {
      value = value * 16 + static_cast<u64>(*text - '0');
    } else if (*text >= 'a' && *text <= 'f') {
      value = value * 16 + static_cast<u64>(*text - 'a' + 10);
    } else {
      break;
    }
  }
  return text;
}

struct Blocked {
  i32 call;  // -1: not in a system call (stopped)
  u64 sp;
  u64 pc;
};

// "NR 0xARG*6 0xSP 0xPC", "-1 0xSP 0xPC" or "running"; proc(5).
bool parse_blocked(const char* text, Blocked& blocked) {
  if (text[0] != '-' && (text[0] < '0' || text[0] > '9')) {
    return false;
  }
  blocked = {text[0] == '-' ? -1 : parse_number(text), 0, 0};
  while (*text != '\0') {
    if (text[0] == '0' && text[1] == 'x') {
      blocked.sp = blocked.pc;
      text = skip_hex(text, blocked.pc);
    } else {
      ++text;
    }
  }
  return blocked.pc != 0;
}

bool any_holds(std::span<const Range> ranges, u64 address) {
  for (const Range& range : ranges) {
    if (range.holds(address)) {
      return true;
    }
  }
  return false;
}

// Three words of a signal frame's sigcontext: rip, eflags, then cs with gs, fs and ss above it.
// Asking for the segment keeps our own copies of the addresses from being taken for one.
constexpr u64 user_code_segment = 0x33;
constexpr u32 behind_rip = 2;

// Whether there is no signal frame on the top of the stack whose thread was interrupted inside.
// Read by the kernel: the stack may end, or its thread may free it.
bool stack_is_clear(u64 sp, std::span<const Range> ranges) {
  const File memory("/proc/self/mem");
  if (!memory.is_open()) {
    return false;
  }
  u64 words[behind_rip + page_size / 8] = {};
  sp &= ~u64{7};
  for (u64 done = 0; done < max_stack_scan;) {
    // Up to the page's end, so that a guard page behind the stack ends the walk and not the read.
    const u64 room = page_size - ((sp + done) & (page_size - 1));
    const long n =
        raw_syscall(SYS_pread64, memory.fd(), address_of(words + behind_rip), room, sp + done);
    if (n < 8) {
      return done != 0;
    }
    const u64 count = static_cast<u64>(n) / 8;
    for (u64 i = 0; i < count; ++i) {
      if ((words[i + behind_rip] & 0xffff) == user_code_segment && any_holds(ranges, words[i])) {
        return false;
      }
    }
    words[0] = words[count];
    words[1] = words[count + 1];
    done += static_cast<u64>(n);
  }
  return true;
}

bool may_hide_a_child(i32 call) {
  return call == SYS_vfork || call == SYS_clone || call == SYS_clone3;
}

bool seen_outside(i32 thread, std::span<const Range> ranges) {
  if (thread == static_cast<i32>(raw_syscall(SYS_gettid))) {
    return stack_is_clear(address_of(__builtin_frame_address(0)), ranges);
  }
  char name[64];
  Text path(name, sizeof name);
  const File file(task_path(path, thread, "syscall").c_str());
  char before[256];
  char after[256];
  if (!file.is_open()) {
    // Ended since; without /proc `begin` would not have listed it.
    return File("/proc/self/task").is_open();
  }
  Blocked blocked;
  if (file.read(before, sizeof before) <= 0 || !parse_blocked(before, blocked) ||
      may_hide_a_child(blocked.call) || any_holds(ranges, blocked.pc) ||
      !stack_is_clear(blocked.sp, ranges)) {
    return false;
  }
  // Had it run meanwhile, the stack would not have been what it was blocked on.
  if (file.read(after, sizeof after) <= 0) {
    return false;
  }
  return std::string_view(before) == after;
}

}  // namespace

bool Grace::begin() {
  count_ = list_threads(threads_.data(), max_threads);
  active_ = count_ != 0;
  return active_;
}

bool Grace::poll(std::span<const Range> ranges) {
  u32 kept = 0;
  for (u32 i = 0; i < count_; ++i) {
    if (!seen_outside(threads_[i], ranges)) {
      threads_[kept++] = threads_[i];
    }
  }
  count_ = kept;
  active_ = active_ && kept != 0;
  return kept == 0;
}

u32 thread_count() {
  const File directory("/proc/self/task", O_RDONLY | O_DIRECTORY);
  return directory.is_open() ? count_links(directory) : 0;
}

Refusal threads_can_trap() {
  static constinit i32 threads[2048];  // callers hold the patcher's lock
  const u32 count = list_threads(threads, sizeof threads / sizeof threads[0]);
  if (count == 0) {
    return Refusal::threads_unknown;
  }
  for (u32 i = 0; i < count; ++i) {
    char name[64];
    Text path(name, sizeof name);
    const File file(task_path(path, threads[i], "status").c_str());
    char status[4096];
    if (!file.is_open() || file.read(status, sizeof status) <= 0) {
      continue;  // ended since
    }
    const std::string_view text(status);
    const u64 at = text.find("\nSigBlk:\t");
    u64 mask = ~u64{0};
    if (at != std::string_view::npos) {
      skip_hex(status + at + 9 - 2, mask);
    }
    if ((mask >> (SIGTRAP - 1) & 1) != 0) {
      return Refusal::trap_blocked;
    }
  }
  return Refusal::none;
}

}  // namespace selfheal::patch
