// Notices every dlopen and dlclose, those inside libc (NSS, iconv, PAM) included.
//
// ld.so tells debuggers of changes by calling an empty function, `_r_debug.r_brk` (System V ABI;
// link.h). Its entry gets a jump to us. We are called with ld.so's lock held, by the thread that
// loads or unloads, between mapping and relocating: nothing there may take a lock that could be
// held around a dlopen, allocate, or call the loader; and `_dl_find_object` does not yet know a
// module that is just being loaded (it knows the vanished ones are gone).
#pragma once

#include "lib/patch/plan.h"

namespace selfheal::patch {

// `changed` is called each time the set of modules is consistent again after a change.
// Refusal::none when it will be; else why not (a debugger's breakpoint is there, no memory in
// reach), and the caller has to look for changes itself (dl_iterate_phdr's dlpi_adds and
// dlpi_subs). Once per process, single-threaded; a fork child inherits it.
Refusal watch_modules(void (*changed)());

// How many changes were seen; any thread may compare it with what it saw last.
u64 module_changes();

}  // namespace selfheal::patch
