// What a healed call returns: as policy says, else by all evidence there is (docs/values.md). How a
// region ends is found out once, when its entry is patched, and what is chosen is kept for each
// place it is called from: a heal looks it up and decodes nothing.
#pragma once

#include "emulator/undo_log.h"
#include "lib/base/registers.h"
#include "lib/image/function.h"
#include "lib/recover/choice.h"
#include "lib/recover/known_return.h"
#include "lib/runtime/regions.h"

namespace selfheal::runtime {

// How the function at `index` ends, and what its callers ask for. `site`: see
// recover::find_own_exits; 0: not known. Under runtime.changing.
void learn_exits(u64 index, const image::Function& function, u64 site);

// What the store knows of the function at `index`; heals of it may be under way. Under
// runtime.changing.
void know_return(u64 index, const recover::KnownFunction& function);

// `at_entry`: the registers of the call, at the region's first instruction. Reads the callers'
// frames, guarded. Signal-safe.
recover::Return choose_return(const Registers& at_entry, u64 return_address, FaultKind kind,
                              const Region& region);

// Of that, what is for rax and errno.
recover::ReturnValue choose_value(const Registers& at_entry, u64 return_address, FaultKind kind,
                                  const Region& region);

// Leaves in memory what the value says, behind the pointers the region was called with. After the
// rollback. `log`: of an activation that goes on around the healed one, and may yet be taken back;
// null: there is none.
void leave_behind(const Registers& at_entry, const recover::Return& value, emulator::UndoLog* log);

}  // namespace selfheal::runtime
