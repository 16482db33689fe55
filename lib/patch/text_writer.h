// Writes to code without ever making it writable (DESIGN.md, invariant 2).
//
//   proc_mem  pwrite to /proc/self/mem: the kernel writes through the mapping's protection
//             (FOLL_FORCE) into a private copy of the page, which stays r-x all the time. Opened
//             when needed and closed at once: no descriptor of ours survives, and in a fork child
//             /proc/self is the child.
//   memfd     where the kernel refuses that (proc_mem.force_override of Linux 6.12, no /proc in a
//             chroot, a process that is not dumpable): the pages are copied to a memfd, patched
//             there, mapped r-x elsewhere and moved over the original by mremap, which is one step
//             to every other thread (the kernel holds the address space's lock throughout).
//
// Both work under systemd's MemoryDenyWriteExecute and PR_SET_MDWE; mprotect does not, and text
// that once lost its X there does not get it back. Raw system calls only: no errno, no allocation,
// no lock; not to be called in a sandbox that kills on open or memfd_create.
#pragma once

#include "lib/base/types.h"

namespace selfheal::patch {

enum class Writer : u8 { none, proc_mem, memfd };

// Writes `size` bytes to the text at `address`. Atomic for other threads only when size is 1.
bool write_through_proc_mem(u64 address, const u8* bytes, u64 size);
bool write_through_memfd(u64 address, const u8* bytes, u64 size);

// Whether memory at `address` holds these bytes now.
bool text_is(u64 address, const u8* bytes, u64 size);

// The first of the two that works, and which it was; none: the text is unchanged.
Writer write_text(u64 address, const u8* bytes, u64 size);

}  // namespace selfheal::patch
