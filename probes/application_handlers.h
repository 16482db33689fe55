// Running the application's own handlers with the semantics it asked for, and knowing when it has
// left them: by returning, by longjmp, or by ending the process.
#pragma once

#include "probes/dispositions.h"
#include "probes/hooks.h"

namespace selfheal::probes {

// Jumps into the handler, on the stack where the kernel would run it, and does not return; the
// handler's return goes on with the (possibly changed) context. Returns when there is no room for
// its signal frame: natively that ends the process.
void run_application_handler(const SignalContext& signal, const Disposition& disposition,
                             int error_number);

// True while the code with this stack pointer runs inside a handler of the application's.
bool inside_application_handler(u64 stack_pointer);

}  // namespace selfheal::probes
