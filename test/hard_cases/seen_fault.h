// What an application's handler is told of a fault, in words that are the same in every run.
#pragma once

#include <stdint.h>

#include "test/hard_cases/subject.h"

namespace hard {

// Runs f() with handlers for the signals a processor's exceptions become. One that comes is told
// with `say`, as "SIGSEGV code 2 trap 14 error 15 at +0 rip +0", and ends f(): true. Addresses are
// told relative to `base`, as far as they lie close to it.
bool tells_fault(uint64_t base, void (*f)());

// Just the signal; 0: none came.
int signal_raised_by(void (*f)());

}  // namespace hard
