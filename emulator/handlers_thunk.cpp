// Instructions executed by the processor itself.
#include "emulator/handlers.h"
#include "emulator/machine.h"
#include "emulator/thunk.h"

namespace selfheal::emulator {

const Op* do_thunk(Thread& t, const Op& op) {
  const ThunkOp& thunk = *op.thunk;
  if (thunk.alignment != 0 && (effective(t, op) & (thunk.alignment - 1U)) != 0) {
    run_thunk(thunk);  // raises #GP
    return &op + 1;
  }
  if (thunk.checked) {
    const u64 address = effective(t, op);
    if (address < null_page_end) [[unlikely]] {
      return stop_with_fault(t, FaultKind::null_access, thunk.writes ? Access::write : Access::read,
                             address);
    }
  }
  if (thunk.store != StoreKind::none && !log_stores(t, op)) {
    return nullptr;
  }
  run_thunk(thunk);
  return &op + 1;
}

}  // namespace selfheal::emulator
