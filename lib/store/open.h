// Opens the whole store in one call: at start-up in the runtime, or for the CLI.
//
// All or nothing: on damage, a foreign owner, a wrong version or anything that is not what it
// should be, `error` holds one line, `store` is empty, and nothing on disk was changed. Nothing
// stays open afterwards: everything is mapped, and inherited by children, also across chroot,
// setuid and seccomp.
//
//   owner of the directory      we may
//   us (euid)                   do everything; `owner` is true
//   root, we are not            append to the journal, if its mode lets us (0660, our group);
//                               read the catalog, if its mode lets us (0640)
//   anybody else                nothing: refused
//
// One thread. Raw system calls only (about 15, no malloc), so that it can run before main. Must not
// be called under AT_SECURE; it refuses.
#pragma once

#include "lib/base/types.h"
#include "lib/store/catalog.h"
#include "lib/store/error.h"
#include "lib/store/functions.h"
#include "lib/store/journal.h"
#include "lib/store/learning.h"
#include "lib/store/rules.h"

namespace selfheal::store {

struct OpenRequest {
  const char* path;                     // absolute
  bool create = true;                   // make the directory and the files that are absent
  bool read_only = false;               // for `list` and `info`: the journal is mapped read-only
  u32 slot_count = default_slot_count;  // of a journal that is made now
  bool learning = false;                // open, and make, the counts of learning
};

struct Store {
  Journal journal;      // not mapped when there is none (and create was false)
  Catalog catalog;      // generation 0 and empty when there is none yet
  Rules rules;          // none when there is no file of them
  Functions functions;  // likewise
  Learning learning;    // not mapped unless asked for
  bool owner = false;
  char path[1024] = {};
  u64 directory_device = 0;  // identity of the directory: a path means something else in a chroot
  u64 directory_inode = 0;
  u32 directory_owner = 0;
  const void* live = nullptr;  // read-only mapping of the live file, or nullptr
  u64 live_size = 0;
  u64 removed_generation = 0;  // somebody removed the catalog: up to here the live file is old news
};

bool open_store(const OpenRequest& request, Store& store, Error& error);
void close_store(Store& store);

// True when the journal knows a newer generation than `store.catalog` (one load; no system call).
bool catalog_is_stale(const Store& store);

// Loads the newest catalog into `out` through the inherited live mapping: no file is opened, so it
// works after chroot and setuid. System calls: mmap, mprotect and, for one it refuses, munmap.
// False when there is nothing newer, or it is just being written (try again at the next blocking
// call). The caller swaps it in, and closes the old one once nobody reads it any more.
bool load_newer_catalog(const Store& store, Catalog& out);

// Reads the functions' file again, by the store's path: for who may still open files. False, and
// `out` empty, where the path leads elsewhere by now (chroot) or the file is damaged; an absent
// file is one that knows nothing.
bool load_functions(const Store& store, Functions& out);

}  // namespace selfheal::store
