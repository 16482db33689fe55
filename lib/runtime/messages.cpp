#include "lib/runtime/messages.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "lib/base/raw_syscall.h"
#include "lib/base/text.h"
#include "lib/runtime/runtime.h"
#include "lib/store/location.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

constexpr u64 stderr_fd = 2;

struct {
  bool usable;
  u64 device;
  u64 inode;
} err;

bool stat_stderr(struct stat& status) {
  return !syscall_failed(raw_syscall(SYS_fstat, stderr_fd, address_of(&status)));
}

bool is_terminal() {
  termios settings{};
  return !syscall_failed(raw_syscall(SYS_ioctl, stderr_fd, TCGETS, address_of(&settings)));
}

// "device:inode" in decimal, as `selfheal run` exports it.
bool named_by_run(const char* const* environment, const struct stat& status) {
  const char* given = store::environment_value(environment, "SELFHEAL_STDERR");
  if (given == nullptr) {
    return false;
  }
  char buffer[48];
  Text expected(buffer, sizeof buffer);
  expected.decimal(status.st_dev) << ':';
  expected.decimal(status.st_ino);
  return __builtin_strcmp(given, expected.c_str()) == 0;
}

void write_all(u64 fd, const char* text, u64 size) {
  while (size > 0) {
    const long written = raw_syscall(SYS_write, fd, address_of(text), size);
    if (written <= 0) {
      return;
    }
    text += written;
    size -= static_cast<u64>(written);
  }
}

bool stderr_is_still_ours() {
  struct stat now {};
  return err.usable && stat_stderr(now) && now.st_dev == err.device && now.st_ino == err.inode;
}

void write_report(void*, const char* text, u64 size) {
  if (stderr_is_still_ours()) {
    write_all(stderr_fd, text, size);
  }
  if (runtime.options.log_path[0] != '\0') {
    const long fd =
        raw_syscall(SYS_openat, static_cast<u64>(AT_FDCWD), address_of(runtime.options.log_path),
                    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (!syscall_failed(fd)) {
      write_all(static_cast<u64>(fd), text, size);
      raw_syscall(SYS_close, static_cast<u64>(fd));
    }
  }
}

}  // namespace

void choose_outputs(const char* const* environment) {
  struct stat status {};
  if (!stat_stderr(status) || S_ISSOCK(status.st_mode)) {
    return;
  }
  using options::Report;
  const Report wanted = runtime.options.report;
  err.usable = wanted == Report::always || (wanted == Report::automatic &&
                                            (is_terminal() || named_by_run(environment, status)));
  err.device = status.st_dev;
  err.inode = status.st_ino;
}

bool reports_wanted() {
  return probes::no_filter_seen() && (err.usable || runtime.options.log_path[0] != '\0');
}

report::Sink report_sink() {
  return {&write_report, nullptr};
}

void say(const char* text, const char* more) {
  struct stat status {};
  if (!probes::no_filter_seen() || !stat_stderr(status) || S_ISSOCK(status.st_mode)) {
    return;
  }
  char buffer[1024];
  Text line(buffer, sizeof buffer - 1);
  line << "selfheal: " << text << more;
  buffer[line.size()] = '\n';
  write_all(stderr_fd, buffer, line.size() + 1);
}

}  // namespace selfheal::runtime
