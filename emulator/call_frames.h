// The engine's own copy of the region's calls, and which stack words must not be overwritten.
//
//   guest stack (grows down)                 frames (the shadow stack)       guard (by address)
//   │ region's return address  │◄──────────  frames[0]    slot, target         slot | is_return
//   │   canary                 │◄──────────    its canary                      slot | is_canary
//   │   buffer ▲ overflow      │
//   │ callee's return address  │◄──────────  frames[1]    slot, target         …
//   │   … rsp                  │             frames[depth]
//
// A guest `call` puts a frame on top, `ret` takes it off and compares. In between the word is
// *guarded*: each store looks up its address in a direct-mapped table, and a hit is a fault of kind
// stack_overwrite, before anything is written (the idea of StackGhost and of Intel's CET, but for
// the store as well as for the return). So is the canary of a function that has one: its prologue
// loads the thread's canary from its place at the thread pointer, and stores that register relative
// to rsp or rbp in the same frame; that is how it is known. The value alone says nothing: dead
// stack is full of old canaries, and is copied with all that was never initialised (bison's parsers
// do).
//
// What healthy programs do, and what follows:
//   - longjmp, exceptions, call/pop, tail calls: rsp moves above a slot and the frame is dead.
//     Frames below rsp are dropped wherever rsp is seen to move (arithmetic, mov, pop of a guarded
//     word, the next call, the next ret), and once more before a store is called a fault.
//   - A function that replaces its own return address on purpose (retpolines, `add $4, (%rsp)`)
//     names the word exactly: 8 bytes, rsp or rbp plus a constant. The unwinder names it by a
//     register, and in the same straight line takes rsp from one (`__builtin_eh_return`). Such a
//     store is let through, and the word is guarded no more.
//   - The unwinder also copies the return address of the frame it goes to into its own (libgcc's
//     uw_install_context_1). 8 bytes that hold the address of module text are let through, but the
//     word stays guarded: no return through it will be.
//   - push + ret, setcontext, signal frames: no call pushed the word, so nothing is compared. Nor
//     is it once rsp was set to above the entry, where all of the region's frames are dead.
//   - Coroutines whose stack is an array in some frame: from there to the frames below rsp is *set*
//     far down. What lives above is no longer known then, and no guarded word is left but the
//     region's own return address.
//   - Two guarded words in one cell of the table (16 KiB apart or a multiple): the newer one wins,
//     the older is guarded no more. Deeper than `capacity` calls, or a misaligned stack: likewise.
// Only a word that was guarded all the time may fail its comparison: then somebody else than the
// region's instructions has written there (another thread, the kernel).
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

struct Thread;
struct Op;

// Where glibc keeps the canary, from the thread pointer (tcbhead_t::stack_guard; the System V psABI
// leaves the place to the C library, compilers know it).
inline constexpr u64 canary_offset = 0x28;

struct CallFrame {
  u64 slot;    // where the return address lies
  u64 target;  // the return address
  u64 canary;  // address of the frame's canary; 0: none, or not yet
};

struct CallFrames {
  static constexpr u32 capacity = 4096;
  static constexpr u64 cells = 2048;
  static constexpr u64 is_return = 1;
  static constexpr u64 is_canary = 2;
  static constexpr u64 same_stack_sure = 4096;  // set further down, rsp may be on another stack

  u32 depth;           // index of the newest frame
  u8 canary_register;  // holds the canary, and has not been stored yet; no_register: none
  u64 canary_frame;    // slot of the frame it was loaded in
  u64 lowest_sp;       // where rsp was last seen
  u64 canary;          // the thread's canary value
  u64 watch_from;  // stores outside of the region's frames are looked up in [watch_from, + span)
  u64 watch_span;
  u64 entry_sp;
  u64 guard[cells];
  CallFrame frames[capacity];

  static constexpr u64 cell_of(u64 address) { return (address >> 3) % cells; }

  void protect(u64 slot, u64 tag) {
    if (slot % 8 == 0) [[likely]] {
      guard[cell_of(slot)] = slot | tag;
    }
  }
  bool guarded(u64 slot) const { return guard[cell_of(slot)] == (slot | is_return); }

  // Does a store of `size` bytes, at most 8, touch a guarded word?
  bool touched(u64 address, u64 size) const {
    const bool first = (guard[cell_of(address)] ^ address) < 8;
    const bool crosses = (address & 7) + size > 8;
    return first || (crosses && (guard[cell_of(address + 7)] ^ (address + 7)) < 8);
  }

  // A guest call has pushed `target` at `slot`.
  void enter(u64 slot, u64 target) {
    while (frames[depth].slot <= slot && depth != 0) [[unlikely]] {
        drop();
      }
    if (depth + 1 < capacity) [[likely]] {
      frames[++depth] = {slot, target, 0};
      protect(slot, is_return);
    }
  }

  void drop() {
    const CallFrame& frame = frames[depth];
    guard[cell_of(frame.slot)] = 0;
    drop_canary();
    --depth;
  }

  void drop_canary() {
    CallFrame& frame = frames[depth];
    if (frame.canary != 0) {
      guard[cell_of(frame.canary)] = 0;
      frame.canary = 0;
    }
  }

  // Normally a store that is not to the region's own frames is looked up only when it is to its
  // return address or above; `all`: own frames cannot be told from others just now.
  void watch(bool all) {
    watch_from = all ? 0 : entry_sp - 7;
    watch_span = all ? ~u64{0} : 7 + 8;
  }

  // The stack pointer was set to `sp`.
  void moved(u64 sp) {
    const u64 before = frames[depth].slot < lowest_sp ? frames[depth].slot : lowest_sp;
    if (sp + same_stack_sure < before) [[unlikely]] {
      while (depth != 0) {
        drop();
      }
      drop_canary();
    }
    settle(sp);
  }

  // The stack pointer is `sp`: what lies below is dead.
  void settle(u64 sp) {
    lowest_sp = sp;
    while (frames[depth].slot < sp && depth != 0) [[unlikely]] {
        drop();
      }
    if (frames[depth].canary < sp) {
      drop_canary();
    }
  }
};

// A region begins: forgets what the last activation left, and guards its return address. Those of
// its callers are not: finding them means unwinding, which takes longer than all of the entry.
void begin_frames(Thread& t);

// May this store go on, although it touches a guarded word? False after stopping with
// stack_overwrite. `size` bytes at `address`; any size.
[[nodiscard, gnu::cold]] bool may_overwrite(Thread& t, u64 address, u64 size);

// The lowest guarded word in [address, address + size) of live frames; 0: none.
u64 guarded_in(Thread& t, u64 address, u64 size);

// A return to `target` from the word at `sp`, which is not the newest frame's or holds something
// else. False after stopping with return_mismatch.
[[nodiscard, gnu::cold]] bool may_return(Thread& t, u64 sp, u64 target);

// The canary was loaded from its place.
void note_canary_load(Thread& t, const Op& op);

// An 8-byte store of the canary's value: is it a prologue's?
[[gnu::cold]] void note_canary(Thread& t, const Op& op, u64 address);

// Are the guarded words of the newest frames what they were? For memory the kernel has written.
// 0, or the address of one that is not.
u64 damaged_frame(Thread& t);

}  // namespace selfheal::emulator
