// Notices every dlopen and dlclose, those inside libc (NSS, iconv, PAM) included.
//
// ld.so tells debuggers of changes by calling an empty function, `_r_debug.r_brk` (System V ABI;
// link.h). Its entry gets a jump to us:
//
//      _dl_debug_state:  ret; nop...   ──►  jmp cell ──► selfheal_on_debug_state (debug_state.S)
//                                                         saves registers, calls C++, then `ret`
//
// We are called with ld.so's lock held, by the thread that loads or unloads: nothing there may take
// a lock that could be held around a dlopen, allocate, or call the loader (dl_iterate_phdr is fine:
// its lock is recursive). At the end of a dlopen the new modules are mapped and listed, but not yet
// relocated, and their constructors have not run: so what is patched now is patched before anybody
// calls it. `_dl_find_object` does not know them yet (image::for_each_module does); after a dlclose
// it no longer knows the old ones.
#pragma once

#include "lib/patch/plan.h"

namespace selfheal::patch {

struct ModuleHooks {
  void (*unloading)();  // modules are about to be unmapped; always followed by `changed`
  void (*changed)();    // modules were mapped or unmapped, and the list is consistent again
};

// Refusal::none when the hooks will be called; else why not (a debugger's breakpoint is there, no
// memory in reach), and the caller has to look for changes itself (dl_iterate_phdr's dlpi_adds and
// dlpi_subs). Once per process, other threads may run; a fork child inherits it.
Refusal watch_modules(const ModuleHooks& hooks);

// How many changes were seen; any thread may compare it with what it saw last.
u64 module_changes();

}  // namespace selfheal::patch
