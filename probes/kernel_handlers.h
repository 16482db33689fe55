// Puts our handler into the kernel's table.
#pragma once

#include "probes/dispositions.h"

namespace selfheal::probes {

// With the one flag of the application's that works from outside its handler: whether interrupted
// system calls are restarted. (An ignored signal interrupts nothing: restarting comes closest.)
void set_kernel_handler(int signal, const Disposition& wanted);

// From here on the signal is ours; what it was set to, and whether it was blocked, becomes what the
// application is told.
void take_over(int signal);

bool is_our_handler(const Disposition& in_kernel);

}  // namespace selfheal::probes
