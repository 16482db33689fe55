// One function as the patcher wants it: its bounds, its hash, its original bytes, its neighbours.
// All under runtime.changing.
#pragma once

#include "lib/image/function.h"
#include "lib/image/module.h"
#include "lib/patch/patcher.h"

namespace selfheal::runtime {

struct Target {
  const image::Module* module;
  image::Function function;
  u64 code_hash;
};

// The function whose entry is at `offset`, not a split-off part or the middle of something. One
// without call frame information (assembler) is as long as its symbol says. Null, or why not.
const char* find_target(const image::Module& module, u64 offset, u64 symbol_size, Target& target);

// Patches it, as `spec` says; the rest of `spec` is filled in. Null, or why not.
const char* install(const Target& target, u64 recorded_hash, patch::RegionSpec& spec,
                    patch::Threads threads, i32& index);

// The engine has the entry's block decoded with or without the beginning of a region.
void entry_changed(u64 entry);

}  // namespace selfheal::runtime
