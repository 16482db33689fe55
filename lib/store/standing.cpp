#include "lib/store/standing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/raw_syscall.h"
#include "lib/base/text.h"
#include "lib/store/clock.h"

namespace selfheal::store {
namespace {

constexpr u64 second = 1'000'000'000;
constexpr u64 ticks_a_second = 100;  // USER_HZ, the unit of /proc/PID/stat

struct ProcessStat {
  char state;  // 0: not known
  u64 start;   // in ticks since boot; 0: not known
};

// Fields 3 and 22 of proc(5)'s stat. The name before them, in parentheses, may hold anything.
ProcessStat stat_of(u32 pid) {
  char path[32];
  Text name(path, sizeof path);
  (name << "/proc/").decimal(pid) << "/stat";
  const long fd = raw_syscall(SYS_openat, static_cast<u64>(AT_FDCWD), address_of(path),
                              O_RDONLY | O_CLOEXEC, 0);
  if (syscall_failed(fd)) {
    return {0, 0};
  }
  char text[1024];
  const long size = raw_syscall(SYS_read, static_cast<u64>(fd), address_of(text), sizeof text);
  raw_syscall(SYS_close, static_cast<u64>(fd));
  long at = size;
  while (at > 0 && text[at - 1] != ')') {
    --at;
  }
  const char state = at > 0 && at + 1 < size ? text[at + 1] : '\0';
  unsigned field = 2;
  for (; at < size && field < 22; ++at) {
    field += text[at] == ' ' ? 1 : 0;
  }
  u64 ticks = 0;
  for (; at < size && text[at] >= '0' && text[at] <= '9'; ++at) {
    ticks = ticks * 10 + static_cast<u64>(text[at] - '0');
  }
  return {state, ticks};
}

u64 boot_time_ns() {
  timespec since_boot{};
  raw_syscall(SYS_clock_gettime, CLOCK_BOOTTIME, address_of(&since_boot));
  return realtime_ns() -
         (static_cast<u64>(since_boot.tv_sec) * second + static_cast<u64>(since_boot.tv_nsec));
}

}  // namespace

bool process_gone(u32 pid, u64 time_ns) {
  if (raw_syscall(SYS_kill, pid, 0) == -ESRCH) {
    return true;
  }
  const ProcessStat now = stat_of(pid);
  return now.state == 'Z' || now.state == 'X' ||  // its parent has not asked yet
         (now.start != 0 &&
          boot_time_ns() + now.start * (second / ticks_a_second) >= time_ns + second);
}

bool alarm_stands(const FaultRecord& record) {
  return record.alarm != 0 && record.pid != 0 && !process_gone(record.pid, record.time_ns);
}

}  // namespace selfheal::store
