// Descriptors.
//
//   opened in the region             rollback: close
//   ... and closed in it             closed at once; nothing is left to do
//   closed, but older than it        a duplicate is kept aside, the number is free at once (the
//   next
//                                    open() may have to get it); rollback puts the duplicate back
//                                    in its place, commit closes it
#include <fcntl.h>
#include <sys/stat.h>

#include "emulator/syscalls_internal.h"

namespace selfheal::emulator {

namespace {

// Out of the way of the lowest free number, which open() must return, and of select()'s first
// words.
constexpr u64 aside[] = {768, 192, 64};

// A duplicate of `fd`; negative where there can be none.
long set_aside(u64 fd) {
  if (!may_call(SYS_fcntl)) {
    return -1;
  }
  long held = -1;
  for (const u64 lowest : aside) {
    held = raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
    if (!syscall_failed(held)) {
      return held;
    }
  }
  return held;
}

// The kernel's huge_encode_dev (include/linux/kdev_t.h); libc's major() may be a call.
constexpr u64 major_number(u64 device) {
  return (device >> 8 & 0xfff) | (device >> 32 & ~u64{0xfff});
}

// Nobody waits for the end of a file, a directory, a memory device or an object like an eventfd; at
// the other end of a pipe, a socket or a terminal somebody may.
Deferred kind_of_close(u64 held) {
  constexpr u64 memory_devices = 1;  // major number of /dev/null and its like
  struct stat status;
  if (!may_call(SYS_fstat) || syscall_failed(raw_syscall(SYS_fstat, held, address_of(&status))) ||
      S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) ||
      (S_ISCHR(status.st_mode) && major_number(status.st_rdev) != memory_devices)) {
    return Deferred::close_fd;
  }
  return Deferred::close_file;
}

// The guest gives up `fd`, which is older than the region: keeps it for a rollback. False: cannot.
bool hold(UndoLog& log, u64 fd) {
  const long held = set_aside(fd);
  if (syscall_failed(held)) {
    return false;
  }
  const long flags = raw_syscall(SYS_fcntl, fd, F_GETFD);
  const u64 cloexec = !syscall_failed(flags) && (flags & FD_CLOEXEC) != 0 ? 1 : 0;
  // run_syscall() has asked for room.
  return log.action(Action::restore_fd, fd, static_cast<u64>(held), cloexec) &&
         log.defer(kind_of_close(static_cast<u64>(held)), static_cast<u64>(held), fd);
}

bool is_open(u64 fd) {
  return !may_call(SYS_fcntl) || !syscall_failed(raw_syscall(SYS_fcntl, fd, F_GETFD));
}

// What the peer of a connection was told before it ends, it gets.
void send_what_is_held_for(Call& call, u64 fd) {
  if (holds_output_for(call.thread(), fd)) {
    call.log().send_output();
  }
}

}  // namespace

bool is_about_a_file(const Call& call) {
  switch (call.row().number) {
    case SYS_read:
    case SYS_readv:
    case SYS_pread64:
    case SYS_preadv:
    case SYS_write:
    case SYS_writev:
    case SYS_pwrite64:
    case SYS_pwritev: {
      struct stat status;
      return may_call(SYS_fstat) &&
             !syscall_failed(
                 raw_syscall(SYS_fstat, static_cast<u32>(call.argument(0)), address_of(&status))) &&
             S_ISREG(status.st_mode);
    }
    default:
      return false;
  }
}

EffectResult handle_read(Call& call) {
  if (!call.keep_row_buffers() || !call.log().room()) {
    return EffectResult::log_full;
  }
  // A pipe or a socket cannot be sought: then the rollback counts it as failed.
  if (call.perform() > 0) {
    static_cast<void>(
        call.log().action(Action::seek_back, call.argument(0), static_cast<u64>(call.result())));
  }
  return call.done();
}

EffectResult handle_seek(Call& call) {
  const u64 offset = call.argument(1);
  const u32 whence = static_cast<u32>(call.argument(2));
  long before = -1;
  if (whence != SEEK_CUR && may_call(SYS_lseek)) {
    before = raw_syscall(SYS_lseek, call.argument(0), 0, SEEK_CUR);
  }
  call.perform();
  if (call.failed() || (whence == SEEK_CUR && offset == 0)) {
    return call.done();
  }
  if (whence == SEEK_CUR) {
    before = call.result() - static_cast<long>(offset);
  }
  if (before < 0) {
    return call.irrevocable();
  }
  static_cast<void>(call.log().action(Action::seek_to, call.argument(0), static_cast<u64>(before)));
  return call.done();
}

EffectResult handle_directory(Call& call) {
  if (!call.keep_row_buffers() || !call.log().room()) {
    return EffectResult::log_full;
  }
  const long before =
      may_call(SYS_lseek) ? raw_syscall(SYS_lseek, call.argument(0), 0, SEEK_CUR) : -1;
  if (call.perform() <= 0) {
    return call.done();
  }
  if (before < 0) {
    return call.irrevocable();
  }
  static_cast<void>(call.log().action(Action::seek_to, call.argument(0), static_cast<u64>(before)));
  return call.done();
}

// open(path, flags), openat(directory, path, flags), creat(path)
EffectResult handle_open(Call& call) {
  u64 flags = O_CREAT | O_TRUNC;
  if (call.row().number == SYS_open) {
    flags = call.argument(1);
  } else if (call.row().number == SYS_openat) {
    flags = call.argument(2);
  }
  call.perform();
  if ((flags & (O_CREAT | O_TRUNC)) != 0) {
    call.irrevocable();
  }
  return call.created();
}

EffectResult handle_close(Call& call) {
  const u64 fd = static_cast<u32>(call.argument(0));
  send_what_is_held_for(call, fd);
  if (call.log().cancel_own(Action::close_fd, fd) || hold(call.log(), fd)) {
    call.perform();
    return call.done();
  }
  call.perform();
  return call.irrevocable();
}

// dup2(old, new), dup3(old, new, flags)
EffectResult handle_dup_over(Call& call) {
  const u64 target = static_cast<u32>(call.argument(1));
  const bool same = static_cast<u32>(call.argument(0)) == target;
  send_what_is_held_for(call, target);
  bool held = true;
  if (!same && is_open(target)) {
    held = hold(call.log(), target);
  }
  call.perform();
  if (same || call.failed()) {
    // What was held is put back over itself at rollback: no harm.
    return call.done();
  }
  if (!held) {
    return call.irrevocable();
  }
  return call.created();
}

// pipe, pipe2: two descriptors at argument 0; socketpair: at argument 3
EffectResult handle_pair(Call& call) {
  if (!call.keep_row_buffers() || !call.log().room()) {
    return EffectResult::log_full;
  }
  call.perform();
  if (!call.failed()) {
    const u8 where = call.row().buffers[0].argument;
    const auto* pair = pointer_to<const u32>(call.argument(where));
    static_cast<void>(call.log().action(Action::close_fd, pair[0]));
    static_cast<void>(call.log().action(Action::close_fd, pair[1]));
  }
  return call.done();
}

// Creates a descriptor for -1, otherwise changes the given one.
EffectResult handle_signalfd(Call& call) {
  call.perform();
  return static_cast<i32>(call.argument(0)) == -1 ? call.created() : call.irrevocable();
}

EffectResult handle_fcntl(Call& call) {
  const u64 fd = call.argument(0);
  const u32 command = static_cast<u32>(call.argument(1));
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      call.perform();
      return call.created();
    case F_GETFD:
    case F_GETFL:
    case F_GETOWN:
    case F_GETSIG:
    case F_GETLEASE:
    case F_GETPIPE_SZ:
    case F_GET_SEALS:
      call.perform();
      return call.done();
    case F_GETLK:
    case F_OFD_GETLK:
      if (!call.keep_fixed(2, sizeof(struct flock))) {
        return EffectResult::log_full;
      }
      call.perform();
      return call.done();
    case F_GETOWN_EX:
    case F_GET_RW_HINT:
    case F_GET_FILE_RW_HINT:
      if (!call.keep_fixed(2, sizeof(u64))) {
        return EffectResult::log_full;
      }
      call.perform();
      return call.done();
    case F_SETFD:
    case F_SETFL: {
      // The guest made this very call, so a filter lets it pass; it may still look at the command.
      const u64 get = command == F_SETFD ? F_GETFD : F_GETFL;
      const long before = may_call(SYS_fcntl) ? raw_syscall(SYS_fcntl, fd, get) : -1;
      call.perform();
      if (call.failed() || before < 0) {
        return call.irrevocable();
      }
      static_cast<void>(
          call.log().action(Action::restore_flags, fd, command, static_cast<u64>(before)));
      return call.done();
    }
    case F_SETLKW:
    case F_OFD_SETLKW:
      call.log().run_deferred();
      [[fallthrough]];
    default:
      call.perform();
      return call.irrevocable();
  }
}

}  // namespace selfheal::emulator
