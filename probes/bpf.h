// An evaluator for seccomp's classic BPF: what would this filter answer to this system call?
// (linux/Documentation/networking/filter.rst; the subset that kernel/seccomp.c accepts.)
//
// Pure and bounded: jumps go forward only, so a program of n instructions takes at most n steps.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <optional>
#include <span>

#include "lib/base/types.h"

namespace selfheal::probes {

// The filter's 32-bit return value; nothing when the kernel would refuse the program (unknown
// instruction, jump or scratch slot out of range, load outside seccomp_data, no return).
std::optional<u32> run_filter(std::span<const sock_filter> program, const seccomp_data& data);

}  // namespace selfheal::probes
