// The allocation probe: bounds and history of every chunk the program gets, for programs with a
// heap fault in their past (docs/faults.md, "Heap faults").
//
//   program ── malloc ──► the allocator's entry, diverted (lib/patch) ──► replacements.cpp
//                                                                          │ chunks.cpp, arena.h
//                             the native path: the allocator itself ◄──────┘ what does not fit
//
// The allocator's own functions are diverted at their entries, wherever `malloc` is bound to: libc,
// a preloaded or linked jemalloc, one that is part of the program. Nothing is exported and nothing
// is diverted without need, so a program without heap faults has nothing of this. Chunks from
// before the diversion, and those too large, are the allocator's and pass.
//
// Everything here may be called by any thread at any time; lookups in signal handlers, too, and
// while somebody else's vector registers are live.
#pragma once

#include "lib/base/fault.h"
#include "lib/base/types.h"

namespace selfheal::probes::heap {

// A chunk as far as it is known.
struct ChunkInfo {
  u64 begin;
  u64 size;  // bytes asked for
  u64 allocated_at;
  u64 freed_at;  // 0: it was not
  bool live;
};

// What the probe tells. All are called in the thread that did it, in ordinary context (or whatever
// context the program calls malloc in); none may allocate.
struct Reports {
  // The engine calls for the guest: the guest's own return address. Asked when the caller is ours.
  // 0: it is a free that was held back until the region had returned; judge_release heard of it.
  u64 (*guest_site)();
  // free or realloc of what is no live chunk, at `site`. Does not return where the process is to
  // end; if it does, nothing is freed.
  void (*bad_free)(u64 pointer, const ChunkInfo* chunk, u64 site);
  // The same where the remedy is to do nothing. False: the remedy's budget is used up.
  bool (*ignored)(u64 pointer, u64 site, u64 owner);
  // A chunk was found damaged when it was freed: beyond its end (offset >= size), or before it.
  void (*damaged)(const ChunkInfo& chunk, i64 offset);
  // The padding of a chunk was written to: the remedy has kept something whole. `owner`: whose.
  void (*absorbed)(const ChunkInfo& chunk, u64 owner);
  // Of the calling thread: is `address` on its stack, or in a module's image? What is can never be
  // a chunk of any allocator.
  bool (*never_heap)(u64 address);
  bool (*may_map)();
};

struct Options {
  u64 own_text_begin;  // of libselfheal
  u64 own_text_end;
  u64 address_limit;  // bytes of address space the probe may reserve
};

// Reserves memory. False: there is none; nothing changes then. Once.
bool start(const Options& options, const Reports& reports);
bool started();

// Chunks from all sites go into guarded slots, as long as there are enough: for a fault whose site
// is not known yet.
void hunt(bool on);

// One function of an allocator's, by its exported name; the order is that of diversion: what takes
// chunks back comes before what gives them out.
struct Replacement {
  const char* name;
  u64 replacement;  // address of the function that takes its place
  u64* next;        // where its native path is to be noted
  bool vital;       // who calls it must get here, whatever else is diverted
  bool gives;       // chunks out; the others must be diverted where they exist, or none of these is
};
unsigned replacement_count();
Replacement replacement(unsigned index);

// The chunk that `address` lies in or next to; false: of none.
bool find_chunk(u64 address, ChunkInfo& chunk);

// What it would be to access [address, address + size): FaultKind::none when that is fine. Reads
// that begin or end in a chunk are: word-wise string functions make them.
FaultKind check_access(u64 address, u64 size, bool write);

// The pointer that the calling thread's free has handed on to the allocator, which has not returned
// yet; 0: none.
u64 handed_on();

// Where chunks are: check_access has nothing to say of other addresses.
u64 arena_begin();
u64 arena_size();

// What is to become of a guest's free(pointer), called from `site`.
enum class Release : u8 {
  pass,    // no chunk of ours, or a live one: free it
  ignore,  // do nothing; it was counted
  refuse,  // it is no live chunk: let the program call free itself
};
Release judge_release(u64 pointer, u64 site);

}  // namespace selfheal::probes::heap
