// Which loaded ELF module an address lies in, and what names that module.
//
// Every lookup goes through glibc's `_dl_find_object` (2.35): a lock-free, wait-free search that
// was made for unwinders, so all of this may be called from a signal handler, on any thread, at any
// time that the module itself is not being unloaded. Nothing here allocates, locks or changes
// errno.
//
// Headers and tables are read from the module's own mapping, and every read is checked against the
// readable segments first: a damaged table makes a lookup fail, never fault.
#pragma once

#include <elf.h>

#include "lib/base/module_id.h"
#include "lib/base/types.h"

namespace selfheal::image {

inline constexpr unsigned max_segments = 16;

// A PT_LOAD segment where it is in memory.
struct Segment {
  u64 start;
  u64 end;        // start + p_memsz
  u64 file_size;  // bytes of it that come from the file
  u32 flags;      // PF_R | PF_W | PF_X as the file says
  u32 reserved;

  bool holds(u64 address, u64 size) const {
    return address >= start && address <= end && size <= end - address;
  }
};

struct Module {
  u64 start;  // first and one past the last mapped address, holes between segments included
  u64 end;
  u64 bias;          // load bias: run-time address - ELF virtual address
  const char* name;  // the dynamic linker's name, "" for the program itself. For people only.
  u64 dynamic;       // address of PT_DYNAMIC, 0 if none
  u64 eh_frame_hdr;  // address of PT_GNU_EH_FRAME, 0 if none
  u64 eh_frame_hdr_size;
  ModuleId id;
  Segment segments[max_segments];
  unsigned segment_count;

  u64 offset_of(u64 address) const { return address - bias; }

  // True when [address, address + size) can be read: inside one readable PT_LOAD.
  bool readable(u64 address, u64 size) const;

  // True when `address` lies in an executable PT_LOAD.
  bool executable(u64 address) const;
};

// Fills in everything, the id included: the GNU build-id from PT_NOTE, or else `content_id`.
// False when no loaded module holds the address (JIT code, heap, stack) or its headers are damaged.
bool find_module(u64 address, Module& module);

// Like find_module without the id (id.kind is `none`): no hashing, a fraction of a microsecond.
bool locate_module(u64 address, Module& module);

// True when the address lies in an executable segment of a loaded module.
bool executable(u64 address);

// The base name of the module's file as the dynamic linker knows it; for the program itself of the
// name it was executed by. For people only.
const char* base_name(const Module& module);

// What blame passes over: libc and its companions, ld.so, the vdso, libstdc++, libgcc_s (and their
// LLVM counterparts), and the module this code itself is linked into. Decided by identity (which
// module holds known functions) and DT_SONAME, never by file name.
bool is_system_library(const Module& module);

// jemalloc, tcmalloc and their kin: a library that stands in for libc's heap. It is as little to
// blame for what it is called with as libc is. Signal-safe.
bool is_allocator(const Module& module);

// True for the module this code itself is linked into (libselfheal.so, or a test program).
bool is_own_module(const Module& module);

// Calls `visit` for each module now loaded, the program first. For start-up and the module watch:
// takes the dynamic linker's lock (dl_iterate_phdr). Stops early when `visit` returns false.
void for_each_module(bool (*visit)(const Module& module, void* context), void* context);

// Bytes that we have patched ourselves are put back in every buffer of code read here, so that
// hashes and decoding see the original text: the hook gets `size` bytes that were read from
// `address` and overwrites those that were changed. Set once, at start-up; must be signal-safe.
using OriginalBytesHook = void (*)(u64 address, u8* buffer, u64 size);
void set_original_bytes_hook(OriginalBytesHook hook);

// Copies `size` bytes of the module, original bytes put back; false when they are not readable.
bool read_original(const Module& module, u64 address, u8* out, u64 size);

// As above for any address; returns how many of the `size` bytes could be read (up to the end of
// the readable segment), 0 outside any module.
u64 read_original(u64 address, u8* out, u64 size);

// Identity of a module without a build-id: XXH64 (as 8 little-endian bytes) over, for each PT_LOAD
// that is not writable, in program-header order: p_vaddr, p_filesz and p_flags as three
// little-endian u64, then its p_filesz bytes with our own patches undone. ld.so does not write
// there (RELRO lies in the writable segment), so it is the same in every run, and the same for the
// file on disk. Not for modules with text relocations: those get no id, and so are never matched.
ModuleId content_id(const Module& module);

}  // namespace selfheal::image
