// What the application wants done with the signals we handle: the table that stands in for the
// kernel's, because the kernel's holds our handler.
//
// Any thread, any context, signal handlers included: readers and writers never wait.
#pragma once

#include <signal.h>

#include "lib/base/types.h"

namespace selfheal::probes {

// As the kernel keeps it (struct k_sigaction).
struct Disposition {
  u64 handler;
  u64 flags;
  u64 restorer;
  u64 mask;

  bool is_default() const { return handler == 0; }
  bool is_ignored() const { return handler == 1; }
  bool has_handler() const { return handler > 1; }
};

Disposition disposition(int signal);

// Returns what was there.
Disposition exchange_disposition(int signal, const Disposition& wanted);

// SA_RESETHAND: takes the disposition for one run of its handler; afterwards the handler is
// SIG_DFL, the rest stays. Of two threads that ask at once the second sees SIG_DFL.
Disposition take_disposition(int signal);

// Between the kernel's form and libc's. libc gives every action a restorer of its own, which the
// application sees in what sigaction reports; `install` finds out where it is.
void set_libc_restorer(u64 address);
Disposition from_libc(const struct sigaction& action);
struct sigaction to_libc(const Disposition& d);

}  // namespace selfheal::probes
