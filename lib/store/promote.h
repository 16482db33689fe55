// Promotion: sealed faults of the journal become catalog entries; sealed slots move to the history
// and become free. Done by whoever owns the store (euid is the directory's owner): a starting
// process before it drops privileges, a live process at a blocking call, `selfheal run`, the CLI.
//
//   lock (flock, non-blocking) ─► read slots ─► catalog.new, fsync, rename, fsync(dir)
//                                           ─► history ─► free slots ─► live ─► generation
//
// A promoter killed anywhere leaves a whole catalog and at worst records that are archived twice;
// the next one takes up from there. Two at once: the second does nothing.
//
// One thread of a process at a time. Raw system calls only, no malloc, errno kept; scratch memory
// is mapped and unmapped. Bounded: one pass over the slots and the catalog. Not for a signal
// handler, and not under a seccomp filter that kills (the runtime knows). Does nothing where
// RLIMIT_FSIZE would make a write raise SIGXFSZ.
#pragma once

#include "lib/base/types.h"
#include "lib/store/error.h"
#include "lib/store/open.h"

namespace selfheal::store {

enum class Promoted : u8 {
  nothing_new,  // the journal held nothing to promote, archive or free
  done,
  busy,       // somebody else is promoting
  not_owner,  // not ours to do: lost privileges, another root directory, read-only mapping
  failed,     // with a line in `error`; what was in the journal is still there
};

struct Promotion {
  Promoted result = Promoted::nothing_new;
  u32 new_entries = 0;
  u32 updated_entries = 0;
  u32 implausible = 0;   // faults that made no entry: no region, no module id, nonsense
  u32 torn = 0;          // slots freed whose writer had died
  u32 damaged = 0;       // slots freed whose checksum was wrong
  u32 archived = 0;      // records moved to the history
  u32 catalog_full = 0;  // faults that found no room in the catalog
  u32 standing = 0;      // alarms that were left where they are (standing.h)
};

Promotion promote(Store& store, Error& error);

// Counts faults, and heals that did not stick.
u64 evidence_in(const Journal& journal);

// Cheap test (a few loads and compares) for a blocking call: is there more than `evidence_seen`, or
// are the journal's heal slots half full?
bool wants_promotion(const Store& store, u64 evidence_seen);

}  // namespace selfheal::store
