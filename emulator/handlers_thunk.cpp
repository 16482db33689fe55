// Instructions executed by the processor itself.
//
// All their faults are the processor's own, raised by the very instruction: none is foreseen, as
// only the processor knows which of several it would raise. So when the undo log's read of the old
// bytes faults, that is no verdict yet. take_fault notes it, and the instruction is executed
// without them: memory that cannot be read cannot be written either, so it faults in its own way.
#include "emulator/handlers.h"
#include "emulator/machine.h"
#include "emulator/thunk.h"

namespace selfheal::emulator {

const Op* do_thunk(Thread& t, const Op& op) {
  const ThunkOp& thunk = *op.thunk;
  if (thunk.store != StoreKind::none && !log_stores(t, op)) {
    return nullptr;
  }
  run_thunk(thunk);
  return &op + 1;
}

bool is_executed_by_processor(const Op& op) {
  return op.handler == do_thunk || op.handler == do_string || op.handler == do_x87_image;
}

const Op* run_unlogged(Thread& t, const Op& op) {
  if (op.handler == do_string) {
    return run_string_unlogged(t, op);
  }
  run_thunk(*op.thunk);
  return &op + 1;
}

}  // namespace selfheal::emulator
