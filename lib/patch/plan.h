// What it takes to divert a function's entry to a stub, decided without touching anything.
//
//      before                                   after
//      entry: endbr64        (if there)         entry: endbr64
//      at:    push %rbp                         at:    jmp stub
//             mov  %rsp,%rbp                           (rest of the last instruction, never
//             reached) sub  $32,%rsp                            sub  $32,%rsp   <- `resume`
//             ...                                      ...
//
//      the native path, out of line: the function's unpatched entry
//             push %rbp                         the instructions the jump covers, moved: operands
//             mov  %rsp,%rbp                    relative to rip get new displacements, short
//             jmp  resume                       branches become long ones
//
// A plan is pure data: no memory is read but the bytes handed in, nothing is allocated. Safe in a
// signal handler (Zydis keeps no state), slow on large functions (decodes all of it: ~20 MB/s).
#pragma once

#include <span>

#include "lib/base/types.h"

namespace selfheal::patch {

inline constexpr unsigned jump_size = 5;         // e9 rel32
inline constexpr unsigned max_native_size = 96;  // at most five instructions, each grown, + a jump
inline constexpr unsigned max_moves = 6;

// Why a function is not patched, or not with a jump. Also what install() can run into.
enum class Refusal : u8 {
  none = 0,
  too_short,          // fewer than 5 bytes and no padding behind
  branch_into_entry,  // something jumps to bytes 1..4
  return_into_entry,  // a call in the entry would return to bytes 1..4
  out_of_reach,       // a rip-relative operand or branch is too far from the stub's memory
  immovable,          // an instruction that means something else in another place
  cold_part,          // the split-off part of another function: nobody calls it
  ifunc_resolver,     // runs inside the loader while it relocates
  loader,             // ld.so
  own_runtime,        // libselfheal.so or libZydis
  vdso,
  signal_restorer,  // or another frame the kernel or the unwinder knows by its shape
  hash_mismatch,    // the bytes are not those that were recorded
  undecodable,
  foreign_patch,  // somebody else's breakpoint or jump is already there
  // install() only:
  no_code_memory,  // no address range in reach, or the system refuses PROT_EXEC
  write_failed,    // neither writer may write text
  table_full,
  busy,             // another thread is patching; try again later
  threads_unknown,  // other threads run and where they are cannot be told (no /proc)
  trap_blocked,     // a thread has SIGTRAP blocked: an int3 would kill the process
};

const char* text_of(Refusal refusal);

// Worth another try at a later occasion: nothing is wrong with the function. (A thread just being
// born has all signals blocked; a list of threads that changes while it is read is not believed.)
constexpr bool is_transient(Refusal refusal) {
  return refusal == Refusal::busy || refusal == Refusal::threads_unknown ||
         refusal == Refusal::trap_blocked;
}

// What the caller knows about a function besides its bytes; standing.h finds most of it.
enum class Standing : u8 {
  ordinary,
  cold_part,
  ifunc_resolver,
  loader,
  own_runtime,
  vdso,
  signal_restorer,
};

// Code at `address`, whose (original) bytes can be read at `bytes`.
struct Code {
  u64 address;
  const u8* bytes;
  u64 size;
};

struct Function {
  Code code;    // the whole FDE, original bytes; `gap` more bytes follow in `bytes`
  u32 gap = 0;  // bytes from its end to the next function; used where they are padding
  Standing standing = Standing::ordinary;
  u64 recorded_hash = 0;  // of the catalog; compared with present_hash
  u64 present_hash = 0;
};

enum class How : u8 { none, jump, trap };

// native[native_offset..] stands for the original instruction at entry + original_offset.
struct Move {
  u8 native_offset;
  u8 original_offset;
};

struct Plan {
  How how;          // none: `refusal` says why
  Refusal refusal;  // with trap: why it is no jump
  bool single;      // the patch covers a single instruction: no thread can stand inside of it
  u8 size;          // bytes to write: 5 or 1
  u8 move_count;
  u8 native_size;
  u64 at;      // where to write; behind endbr64
  u64 resume;  // where the native path goes back into the function
  u8 original[jump_size];
  u8 patched[jump_size];
  u8 native[max_native_size];
  Move moves[max_moves];

  // Bytes at `at` that the patch may replace, also while it is an int3 that will become a jump.
  unsigned reach() const { return how == How::jump ? jump_size : 1; }
};

// Plans the patch of `function` to a stub at `stub`, with the native path at `native`.
Plan plan(const Function& function, u64 stub, u64 native);

// The same, but never with a jump: int3, the last resort.
Plan plan_trap(const Function& function, u64 stub, u64 native);

// The three places a branch into bytes 1..4 can come from. The function itself: plan() looks.
// Anywhere in the module: a rel32 branch or call in `text` with a target in [first, last]. Looks at
// bytes, not at instructions (about 1 ms for libc), so now and then sees one that is none.
bool rel32_into(const Code& text, u64 first, u64 last);

// Nearby: an instruction of `code` that names an address in [first, last]. What cannot be decoded
// names nothing.
bool names(const Code& code, u64 first, u64 last);

// The function (FDE) that holds `address`; false: none does.
using CodeAt = bool (*)(u64 address, Code& code, void* context);

// The functions that may enter `function` by a short branch, up to 128 bytes before and behind it:
// assembler does (mempcpy jumps into memmove). How many of `found` were filled in.
unsigned neighbours(const Code& function, CodeAt code_at, void* context, std::span<Code> found);

}  // namespace selfheal::patch
