#include "lib/patch/live_patch.h"

#include <linux/membarrier.h>

#include "lib/base/raw_syscall.h"
#include "lib/patch/text_writer.h"

namespace selfheal::patch {
namespace {

constexpr u8 int3 = 0xcc;

bool barrier() {
  return !syscall_failed(
      raw_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0));
}

// One byte is atomic. The barrier cannot fail where ready_barrier once succeeded but in a sandbox
// entered since; then the other cores get to see the byte in their own time, as they do on every
// interrupt.
Refusal put(u64 at, u8 byte) {
  if (write_text(at, &byte, 1) == Writer::none) {
    return Refusal::write_failed;
  }
  barrier();
  return Refusal::none;
}

}  // namespace

bool ready_barrier() {
  if (barrier()) {
    return true;
  }
  raw_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0);
  return barrier();
}

Refusal place_trap(u64 at) {
  return ready_barrier() ? put(at, int3) : Refusal::threads_unknown;
}

Refusal complete(u64 at, const u8* bytes) {
  if (!ready_barrier()) {
    return Refusal::threads_unknown;
  }
  if (write_text(at + 1, bytes + 1, jump_size - 1) == Writer::none) {
    return Refusal::write_failed;
  }
  barrier();
  return put(at, bytes[0]);
}

Refusal replace_trap(u64 at, u8 original) {
  return put(at, original);
}

}  // namespace selfheal::patch
