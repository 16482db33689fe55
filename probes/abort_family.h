// Who notices that the process aborts: the handler of SIGABRT, or, where a filter keeps the signal
// from it, the functions that lead to abort().
#pragma once

namespace selfheal::probes {

// Before a seccomp filter comes into force, after which SIGABRT's action could not be set to its
// default any more: done now, unless the application has a handler of its own.
void leave_abort_to_kernel();
void take_abort_back();  // the filter was refused

}  // namespace selfheal::probes
