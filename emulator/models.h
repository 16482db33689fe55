// Modelled library functions: their effect is made natively and logged in bulk or compensated.
//
//   guest: call malloc ──► find_model(target)? ──► malloc runs on the engine's stack; the log gets
//                             │ null               "free(p)"; guest rax = p
//                             ▼                    └► the engine performs the function's `ret`
//                          interpret it
//
// Two reasons to model a function: it owns state shared with other threads, which must never be
// undone by value (the heap's metadata, locks), or it is a loop over memory whose effect is one
// range (mem*, str*). Recognised by entry address, so PLT, direct calls and tail jumps are alike.
//
// At a call the calling convention gives all vector registers away, so native code may use them.
// The engine's stack must have 64 KiB to spare. A mem* or str* function that faults half way is
// taken back and declined: interpreted, it faults again, at the very instruction and with the very
// registers the processor would show.
#pragma once

#include "emulator/effect_result.h"
#include "emulator/thread.h"

namespace selfheal::emulator {

// The guest stands at the function's first instruction: arguments in guest.gpr by the C ABI.
using Model = EffectResult (*)(Thread&);

// How the runtime tells where the application's calls go.
struct Resolver {
  // As a call from the application would bind (dlsym(RTLD_DEFAULT), IFUNCs resolved); 0: none.
  u64 (*find)(const char* name);
  // The definition behind our own, where we stand in front of that function; 0: none.
  u64 (*find_behind)(const char* name);
  // Are both in the same module? Tells an allocator's `operator new` from the application's own.
  bool (*same_module)(u64 a, u64 b);
};

// Once at start-up, before any thread enters a region. Not for signal handlers.
void resolve_models(const Resolver& resolver);

// The model of the function whose entry is `rip`, or nullptr. Called once, when a block is decoded.
Model find_model(u64 rip);

// Name of the modelled function whose entry is `rip`, "unknown" when there is none.
const char* model_name(u64 rip);

}  // namespace selfheal::emulator
