#include "probes/own_signal.h"

#include "lib/base/types.h"
#include "probes/hooks.h"

namespace selfheal::probes {
namespace {

struct Look {
  u64 rip;
  bool behind_system_call;
};

// The bytes before an instruction may lie on a page that is not there: runs guarded.
void look(void* argument) {
  auto& at = *static_cast<Look*>(argument);
  const u8* before = pointer_to<const u8>(at.rip - 2);
  at.behind_system_call = before[0] == 0x0f && before[1] == 0x05;
}

}  // namespace

bool sent_by_itself(const siginfo_t& info, const ucontext_t& context) {
  if (info.si_code != SI_TKILL && info.si_code != SI_USER && info.si_code != SI_QUEUE) {
    return false;
  }
  const auto argument = [&context](int index) {
    return static_cast<u64>(context.uc_mcontext.gregs[index]);
  };
  const u64 signal = static_cast<u64>(info.si_signo);
  const u64 sender = static_cast<u64>(info.si_pid);
  // kill(pid, signal), with 0 and -group for a group of ours; tkill(tid, signal)
  const bool to_process =
      argument(REG_RSI) == signal && (info.si_code == SI_TKILL || argument(REG_RDI) == sender ||
                                      static_cast<i64>(argument(REG_RDI)) <= 0);
  // tgkill(pid, tid, signal)
  const bool to_thread = argument(REG_RDX) == signal && argument(REG_RDI) == sender;
  if (argument(REG_RAX) != 0 || !(to_process || to_thread)) {
    return false;
  }
  Look at{argument(REG_RIP), false};
  return guarded(look, &at) && at.behind_system_call;
}

}  // namespace selfheal::probes
