// What the seccomp filters of this process leave us (facts-servers.md, sections 1 and 8 rule 7).
//
// Every filter the application installs is evaluated, before the kernel gets it unchanged, for each
// system call the runtime may want to make. Filters add up: the strictest answer counts. A filter
// inherited from before our start is not known; `no_filter_seen` tells.
#pragma once

#include "lib/base/types.h"

namespace selfheal::probes {

enum class Answer : u8 { allowed = 0, fails = 1, kills = 2 };

// The system calls the runtime asks about; with the arguments it would use.
enum class Call : u8 {
  rt_sigreturn,
  rt_sigprocmask,
  rt_sigaction,
  sigaltstack,
  rt_tgsigqueueinfo,
  tgkill,
  getpid,
  gettid,
  exit_group,
  write,  // to standard error
  open,   // openat, read only
  close,
  mmap,       // anonymous, readable and writable
  mmap_code,  // with PROT_EXEC
  mprotect,   // without PROT_EXEC
  munmap,
  memfd_create,
  pread,
  pwrite,
  membarrier,
  process_vm_readv,
  futex,
  clock_gettime,
  timer_create,
  timer_settime,
  clone,
  count
};

// One load. Any thread, any context.
Answer answer(Call call);
inline bool allowed(Call call) {
  return answer(call) == Answer::allowed;
}

// No filter has been installed since our start.
bool no_filter_seen();

// The process asked for PR_SET_MDWE: no new executable mappings of writable memory.
bool memory_deny_write_execute();

}  // namespace selfheal::probes
