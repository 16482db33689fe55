// What the parts of the system call model share: a row of the table, and one call being made.
#pragma once

#include "emulator/actions.h"
#include "emulator/guard.h"
#include "emulator/guest_syscall.h"
#include "emulator/syscalls.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

enum class Effect : u8 { pure, fills, creates, irrevocable, leave };

// How large is what the kernel writes at the address in an argument?
enum class Extent : u8 {
  none,
  fixed,         // `value` bytes
  sized,         // as many bytes as argument `other` says
  counted,       // argument `other` times `value` bytes
  value_result,  // argument `other` points to a socklen_t, which is written as well
  io_vector,     // an array of `other` iovecs
  message,       // a msghdr and what it points to
  messages,      // an array of `other` mmsghdrs
  bits,          // a bit set of as many bits as argument `other` says, in words
  pages,         // one byte for each page of a range of `other` bytes
};

struct Buffer {
  Extent extent = Extent::none;
  u8 argument = 0;
  u8 other = 0;
  u16 value = 0;
};

class Call;
using Handler = EffectResult (*)(Call& call);

inline constexpr unsigned max_buffers = 4;

struct SyscallRow {
  u16 number;
  const char* name;
  Effect effect;
  bool waits;       // may block until somebody else does something
  Handler handler;  // instead of the plain sequence: keep buffers, perform, account
  Buffer buffers[max_buffers];
};

// A system call of the guest while it is made. `perform` is the one place where it happens.
class Call {
 public:
  Call(Thread& thread, const SyscallRow& row);

  UndoLog& log() { return thread_.log; }
  Thread& thread() { return thread_; }
  const SyscallRow& row() const { return row_; }
  u64 argument(unsigned index) const { return arguments_[index]; }
  void replace_argument(unsigned index, u64 value) { arguments_[index] = value; }

  // Before performing: old bytes of what the kernel may write. False: the log is full.
  [[nodiscard]] bool keep(const Buffer* buffers, unsigned count);
  [[nodiscard]] bool keep_row_buffers() { return keep(row_.buffers, max_buffers); }
  [[nodiscard]] bool keep_fixed(u8 argument_index, u16 size);

  // Once. Sets the guest's rax.
  long perform();
  bool failed() const { return syscall_failed(result_); }
  // Not performed: a signal has to be delivered first. Counts as failed.
  bool interrupted() const { return result_ == not_performed; }
  long result() const { return result_; }
  // What was waiting for the guest is its own now, and nobody will be told of it again.
  bool took_something() const;

  EffectResult done() const { return EffectResult::done; }
  // Not performed: the process would end of it by SIGABRT.
  EffectResult foresee_abort();
  // Performed; counted when it succeeded.
  EffectResult irrevocable();
  // Performed; its result is a descriptor.
  EffectResult created();
  // Not performed, but the guest is told so.
  EffectResult pretend(long result);

 private:
  Thread& thread_;
  const SyscallRow& row_;
  u64 arguments_[6];
  long result_ = 0;
};

// For a kernel object behind a pointer argument: the guest's, or ours where the guest gave null.
// Reading it after a successful call cannot fault: the kernel has just written it.
template <typename T>
const T* old_value(Call& call, unsigned argument, T& own) {
  if (call.argument(argument) == 0) {
    call.replace_argument(argument, address_of(&own));
  }
  return pointer_to<const T>(call.argument(argument));
}

// A read or write of a regular file: that waits for nobody.
bool is_about_a_file(const Call& call);

// Handlers, by file.
EffectResult handle_read(Call& call);
EffectResult handle_seek(Call& call);
EffectResult handle_directory(Call& call);
EffectResult handle_open(Call& call);
EffectResult handle_close(Call& call);
EffectResult handle_dup_over(Call& call);
EffectResult handle_pair(Call& call);
EffectResult handle_signalfd(Call& call);
EffectResult handle_fcntl(Call& call);
EffectResult handle_ioctl(Call& call);
EffectResult handle_mmap(Call& call);
EffectResult handle_munmap(Call& call);
EffectResult handle_mprotect(Call& call);
EffectResult handle_madvise(Call& call);
EffectResult handle_brk(Call& call);
EffectResult handle_shmat(Call& call);
EffectResult handle_sysv_control(Call& call);
EffectResult handle_sigaction(Call& call);
EffectResult handle_sigprocmask(Call& call);
EffectResult handle_sigaltstack(Call& call);
EffectResult handle_kill(Call& call);
EffectResult handle_tkill(Call& call);
EffectResult handle_tgkill(Call& call);
EffectResult handle_umask(Call& call);
EffectResult handle_prctl(Call& call);
EffectResult handle_arch_prctl(Call& call);
EffectResult handle_prlimit(Call& call);
EffectResult handle_futex(Call& call);
EffectResult handle_wait(Call& call);

}  // namespace selfheal::emulator
