// Changes while the process lives: a new catalog, modules that come and go, children, threads.
//
//   another process records a fault ─► journal header changes ─► our next blocking call notices
//        (one load) ─► on_progress: promote, if the store is ours ─► load the new catalog ─► patch
//
// One thread at a time does it. The others wait for it, a tenth of a second at most, while what is
// new has not been taken up; else they go on and look again at their next blocking call.
#pragma once

#include <span>

#include "lib/base/record.h"
#include "lib/recover/unwind.h"
#include "probes/hooks.h"

namespace selfheal::runtime {

// probes: a blocking call, and there is news; false: ask again
bool on_progress(probes::BlockingCall call);
void on_modules_unloading();  // ld.so, with its lock held: before modules are unmapped,
void on_modules_changed();    // ld.so: after dlopen or dlclose, with the loader's lock held
void on_thread_started();
void on_thread_ending();
void on_fork_child();

// Patches the function that `record` blames, at once; `frames` are those it was diagnosed from.
// In a signal handler, mode=eager only.
void protect_blamed(const FaultRecord& record, std::span<const recover::Frame> frames);

// Calls what(argument) as the one thread that changes patches and catalog; false: it is another
// one, try again. Ordinary context.
bool while_changing(void (*what)(void*), void* argument);

// Inside while_changing: patches what the catalog and the program (explicit_regions.h) ask for now.
// False: something stood in the way that will not stay there.
bool apply_changed_regions();

// The catalog's regions, for the first time: in the constructor.
void protect_at_start();

}  // namespace selfheal::runtime
