// Chunks: placed, red-zoned, padded, and given back late. See arena.h for where, sites.h for the
// remedies, heap.h for the context it all may be called in.
#pragma once

#include "lib/base/types.h"
#include "probes/heap/arena.h"
#include "probes/heap/heap.h"

namespace selfheal::probes::heap {

extern constinit Reports reports;

// 0: no room here, or not of our size; the allocator shall do it. `alignment` is a power of two.
u64 allocate(u64 size, u64 alignment, u64 site, bool zero);

// The pointer lies in the arena: frees its chunk, or deals with a pointer to none.
void release(u64 pointer, u64 site);

// The live chunk that begins at `pointer`.
bool live_chunk(u64 pointer, Place& place);

// A live chunk gets another size where it is. False: it has to move.
bool resize_in_place(const Place& place, u64 size);

// Deals with a pointer of the arena that a program handed back although it is no live chunk.
void reject(u64 pointer, u64 site);

ChunkInfo info_of(const Place& place);

}  // namespace selfheal::probes::heap
