// No models, and system calls as they come: the interpreter's tests need no more. Only what read()
// writes is kept in the undo log, as a test has it write beyond the region's frames.
#include <sys/syscall.h>

#include "emulator/models.h"
#include "emulator/syscalls.h"
#include "emulator/undo_log.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

Model find_model(u64) {
  return nullptr;
}

EffectResult run_syscall(Thread& t) {
  auto& g = t.guest.gpr;
  if (g[rax] == SYS_read && !t.log.save(g[rsi], g[rdx])) {
    return EffectResult::log_full;
  }
  g[rax] = static_cast<u64>(
      raw_syscall(static_cast<long>(g[rax]), g[rdi], g[rsi], g[rdx], g[r10], g[r8], g[r9]));
  return EffectResult::done;
}

bool may_wait(u64) {
  return false;
}

EffectResult run_vsyscall(Thread&) {
  return EffectResult::unsupported;
}

}  // namespace selfheal::emulator
