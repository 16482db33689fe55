// What one seccomp filter says to the system calls the runtime asks about. Pure.
#pragma once

#include <array>
#include <linux/filter.h>
#include <span>

#include "probes/sandbox.h"

namespace selfheal::probes {

using Answers = std::array<Answer, static_cast<unsigned>(Call::count)>;

// All allowed for a program that the kernel would refuse.
Answers answers_of(std::span<const sock_filter> program);

// SECCOMP_MODE_STRICT: read, write, exit and rt_sigreturn, everything else kills.
Answers answers_of_strict_mode();

}  // namespace selfheal::probes
