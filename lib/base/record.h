// What is written down: the payloads of the journal, and what the catalog keeps of them.
//
// These structs are a file format. They hold no pointers and no padding, every byte is written, and
// their sizes are frozen below; a change needs a new store::format_version.
#pragma once

#include "lib/base/fault.h"
#include "lib/base/module_id.h"
#include "lib/base/types.h"

namespace selfheal {

inline constexpr unsigned max_frames = 32;
inline constexpr unsigned max_record_modules = 12;
inline constexpr u8 no_module = 0xff;

// A module as a record names it. The name is for people only: nothing is ever matched by it.
struct RecordModule {
  ModuleId id;
  char name[40];  // base name of the file, cut, always ended by NUL
};

// A code address that survives address-space randomisation: module + offset from the module's
// load bias (so the offset equals the ELF virtual address). With module == no_module the offset is
// the absolute address.
struct CodeRef {
  u64 offset;
  u8 module;  // index into the record's modules
  u8 reserved[7];
};

// The function a record speaks of.
struct FunctionRef {
  CodeRef entry;
  u64 code_hash;  // XXH64 of its bytes as they are in the file (position-independent text is the
                  // same in memory)
  u32 size;       // bytes, of the part that holds the entry (not of a cold part)
  u32 reserved;
};

// What only some kinds of fault have to tell; the rest is zero, and code references that are
// unknown have module == no_module.
struct FaultDetail {
  CodeRef allocated_at;  // heap: the call that allocated the chunk
  CodeRef freed_at;      // heap: the call that freed it
  u64 chunk_size;        // heap: bytes asked for
  i64 chunk_offset;      // heap: of the access or the bad free, from the chunk's first byte
  u64 used;              // time_out: ns of processor time; stack_exhaustion: bytes of stack;
                         // memory_growth: bytes
  u32 samples;           // time_out: how often the thread was looked at
  u32 cycle;             // stack_exhaustion: functions in the recursion's cycle
  CodeRef
      outermost_call;  // stack_exhaustion: where the recursion's outermost activation returns to
  u64 stride;        // stack_exhaustion: most bytes of stack between two activations of the blamed
                     // function; 0: it is not in the recursion itself, but called into it
  u32 left_out;      // frames of the recursion that frames[] leaves out ...
  u32 left_out_at;   // ... in front of this one; 0: none
  char message[96];  // abort family: what the program or libc said of it; ended by NUL
};

// How well it is known how the function of a level says no (lib/recover/evidence.h). Stored: never
// renumber.
enum class Evidence : u8 {
  unknown = 0,    // nobody has looked
  nobody = 1,     // nobody looks at what it returns: void, or a result that is ignored
  granted = 2,    // it never fails, or what it returns is used unchecked
  library = 3,    // a system library called it, and that one's caller is who would be told
  outermost = 4,  // main called it, or what a thread began with: it serves more than one request
  yes_or_no = 5,  // a comparison or a filter: both of its answers are good ones
  guess = 6,      // nothing tells
  asked = 7,      // its caller's code asks for an error: a sign, NULL
  own_error = 8,  // it has an exit of its own for that, which avoids the fault
  learned = 9,    // it was seen to fail, or the user says how it does (store/functions.h)
  throws = 10,    // it throws where it refuses, and one of its callers catches that
};

inline constexpr Evidence last_evidence = Evidence::throws;
inline constexpr unsigned recorded_levels = 8;

// Is there an error that this function returns, and somebody who looks at it?
constexpr bool can_fail(Evidence evidence) {
  return evidence >= Evidence::asked;
}

struct FaultRecord {
  u64 time_ns;  // CLOCK_REALTIME
  u32 pid;
  u32 tid;
  Fault fault;
  u8 instruction[15];
  u8 instruction_size;  // 0 when the bytes could not be read
  CodeRef site;  // the faulting instruction; for exec_violation the call or jump that led there,
                 // where known
  FunctionRef region;  // the function blame fell on; region.size == 0 when none could be blamed
  u8 blamed_frame;     // index in frames[] of the blamed function; 0 is the innermost
  u8 frame_count;
  u8 module_count;
  u8 in_cold_part;  // the site lies in a split-off cold part of the region
  u8 remedies;      // Remedy bits that were in force for the region where it faulted
  u8 alarm;         // 1: counts only once its process has ended (store/standing.h)
  u8 reserved[2];
  CodeRef frames[max_frames];  // [0] is the site, then return addresses outwards
  RecordModule modules[max_record_modules];
  FaultDetail detail;
  u64 after_heal;  // candidate (store/levels.h) that the thread was healed by just before; 0: none
  u32 level_frames;  // a bit for each of frames[] whose function could be a rescue point instead
  u32 reserved2;
  Evidence evidence[recorded_levels];  // of the region, then of the levels outwards
};

// How a region is kept from its fault. Bits, stored: never renumber.
enum class Remedy : u8 {
  engine = 0,           // none of the others: run by the engine, rolled back, an error returned
  stack_check = 1,      // native: not entered with less than `stack_reserve` bytes of stack left
  ignore_free = 2,      // the bad free is not done
  pad_allocation = 4,   // chunks of the allocation site get `padding` more bytes
  delay_free = 8,       // chunks of the freeing site are given back late
  fill_allocation = 16  // chunks of the allocation site are zeroed
};

// Why a virtualized return has the value it has.
enum class ValueReason : u8 {
  none = 0,
  policy = 1,             // set by the user in the catalog
  caller_compares = 2,    // the caller compares with this constant
  caller_tests_sign = 3,  // the caller branches on the sign: -1
  caller_tests_null = 4,  // the caller tests a full register for zero: NULL
  caller_tests_int = 5,   // the caller tests an int for zero or not
  unused = 6,             // the caller never looks at it: void
  fallback = 7,           // nothing could be told
  truth_value = 8,        // the caller leaves it open, the function answers 1 or 0: no
  own_error = 9,          // the function itself returns it where it refuses
  own_object = 10,        // an object, filled in as the function does where it refuses
  known_function = 11,    // its manual page says so
  declared = 12,          // by the type it returns, from debug information
  tried = 13,             // what seemed best did not stick
  library_error = 14,     // the function itself returns it where a library call of its fails
  other_callers = 15,     // this caller leaves it open; others of the function take it for failure
  learned = 16,           // it was seen to return it where it refuses, and nowhere else
  throws = 17,            // it did not return: `value` is the StandardException that was thrown
};

inline constexpr ValueReason last_value_reason = ValueReason::throws;

enum class HealOutcome : u8 {
  none = 0,
  healed = 1,  // rolled back, virtualized return made
  left_to_die =
      2,  // policy, breaker or an inner failure said no; the fault was given back to the process
  eager = 3,        // recovered from a first fault by unwinding, without rollback
  unprotected = 4,  // no fault: the undo log was full; the region went on natively
  simulated = 5,    // would have been healed so; a policy rule says to let it happen
  unfit = 6,   // no fault: the function cannot be a rescue point (it serves, or cannot be patched)
  access = 7,  // no fault: the region is not patched, as it may decide about access
};

inline constexpr HealOutcome last_heal_outcome = HealOutcome::access;

// Did the caller get a value in place of the fault?
constexpr bool recovered(HealOutcome outcome) {
  return outcome == HealOutcome::healed || outcome == HealOutcome::eager;
}

struct HealRecord {
  u64 time_ns;
  u32 pid;
  u32 tid;
  Fault fault;
  CodeRef site;
  FunctionRef region;
  u64 value;         // what the caller got in rax, or see ValueReason::throws
  i32 error_number;  // errno it got, 0 when errno was left alone
  u8 level;          // 0: the region is the faulting function's own; 1: its caller; ...
  ValueReason reason;
  HealOutcome outcome;
  u8 module_count;
  u64 duration_ns;  // fault seen to running again in the caller
  u64 bytes_rolled_back;
  u32 actions_undone;        // compensations run: frees, closes, unlocks, ...; eager: clean-ups
  u32 irrevocable;           // system calls whose effect could not be undone
  u32 irrevocable_calls[8];  // the first of them, by number
  CodeRef return_address;
  u8 remedies;  // Remedy bits in force
  u8 reserved[7];
  RecordModule modules[max_record_modules];
  u64 candidate;  // what was tried for which region (store/levels.h); 0: not of the catalog
};

static_assert(sizeof(RecordModule) == 64);
static_assert(sizeof(CodeRef) == 16);
static_assert(sizeof(FunctionRef) == 32);
static_assert(sizeof(Fault) == 168);
static_assert(sizeof(FaultRecord) == 1752);
static_assert(sizeof(FaultDetail) == 192);
static_assert(sizeof(HealRecord) == 1104);

// In the order of their bits.
inline constexpr Remedy all_remedies[] = {Remedy::stack_check, Remedy::ignore_free,
                                          Remedy::pad_allocation, Remedy::delay_free,
                                          Remedy::fill_allocation};

constexpr bool has_remedy(u8 remedies, Remedy remedy) {
  return (remedies & static_cast<u8>(remedy)) != 0;
}

const char* name_of(Remedy remedy);
const char* name_of(ValueReason reason);
const char* name_of(HealOutcome outcome);
const char* name_of(Evidence evidence);

}  // namespace selfheal
