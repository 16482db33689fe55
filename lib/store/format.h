// The journal's and the catalog's file formats: constants, and structs whose sizes are frozen.
//
//   journal   (fixed size, mapped read-write and shared by every process, trusted by nobody)
//   ┌───────────────┐ 0
//   │ JournalHeader │ magic, version, slot_count; then counters anybody may bump
//   ├───────────────┤ 4096
//   │ state words   │ slot_count x 8 bytes: free / reserved / sealed, in one compare-and-swap
//   ├───────────────┤ budgets_at
//   │ Budget[128]   │ heals a minute and distinct addresses, per site (budget.h)
//   ├───────────────┤ slots_at
//   │ Slot[]        │ slot_count x 2048 bytes: checksum, kind, FaultRecord or HealRecord
//   ├───────────────┤ tallies_at
//   │ Tally[256]    │ how heals ended, per candidate, until the promoter collects it (trials.h)
//   ├───────────────┤ trials_at
//   │ Trial[256]    │ each thread's latest heal, as long as its end is open
//   └───────────────┘
//
// Journals from before there were trials end behind their slots, and say 0 tallies and trials. They
// are used as they are, and their owner adds the tables when he next opens one; who has it mapped
// then goes on without. Their records end before `after_heal` and `candidate` (slot.cpp), others'
// before `evidence`.
//
//   catalog   (replaced as a whole by rename, written by the store's owner only)
//   ┌───────────────┐ 0
//   │ CatalogHeader │        magic, version, generation, count, checksum over all that follows
//   ├───────────────┤ 4096
//   │ CatalogEntry[]│        count x 2048 bytes, sorted by (module id, entry offset, code hash)
//   └───────────────┘
//
//   live      (the catalog's bytes again, in one fixed file that is rewritten in place: a process
//   that
//              lost the right to open files still sees the new catalog through its inherited
//              read-only mapping)
//   history   Slot[] only, appended by the promoter, at most history_limit bytes; then it becomes
//             history.1
//
// Numbers are little-endian, as the only processor we run on.
#pragma once

#include "lib/base/record.h"
#include "lib/base/types.h"

namespace selfheal::store {

inline constexpr u64 journal_magic = 0x314a'4c41'4548'4653;  // "SFHEALJ1"
inline constexpr u64 catalog_magic = 0x3143'4c41'4548'4653;  // "SFHEALC1"
inline constexpr u32 format_version = 2;

inline constexpr u64 header_size = 4096;
inline constexpr u32 slot_size = 2048;
inline constexpr u32 default_slot_count = 1024;
inline constexpr u32 min_slot_count = 4;
inline constexpr u32 max_slot_count = 65536;
inline constexpr u32 budget_count = 128;
inline constexpr u32 tally_count = 256;
inline constexpr u32 trial_count = 256;
inline constexpr u32 max_catalog_entries = 1024;
inline constexpr u64 history_limit = 16 * 1024 * 1024;  // bytes; twice that with history.1

// Candidates of a region: functions outwards from the faulting one, each with so many values.
inline constexpr u32 max_levels = 8;
inline constexpr u32 values_a_level = 3;
static_assert(max_levels == recorded_levels);

inline constexpr const char* journal_name = "journal";
inline constexpr const char* catalog_name = "catalog";
inline constexpr const char* live_name = "live";
inline constexpr const char* history_name = "history";
inline constexpr const char* old_history_name = "history.1";
inline constexpr const char* lock_name = "lock";

// A healing server needs its promoter only when slots run low.
inline constexpr u64 heals_a_news = 128;

enum class SlotState : u8 { free = 0, reserved = 1, sealed = 2 };
enum class RecordKind : u8 { none = 0, fault = 1, heal = 2 };

// The first 64 bytes never change after creation; every later field is an atomic counter.
struct JournalHeader {
  u64 magic;
  u32 version;
  u32 slot_size;
  u32 slot_count;
  u32 budget_count;
  u64 created_ns;
  u64 secret;  // random: keys the budgets' hashes, so that nobody outside can aim at collisions
  u32 tally_count;
  u32 trial_count;
  u64 unused;
  u64 checksum;  // XXH64 of the 56 bytes before

  u64 next;            // ticket counter: the number of the next record
  u64 faults_sealed;   // faults ever sealed
  u64 heals_sealed;    // heals ever sealed
  u64 generation;      // the catalog's newest generation, bumped by the promoter
  u64 dropped_faults;  // records lost because the journal was full
  u64 dropped_heals;
  u64 heals_archived;  // heals taken out by the promoter
  u64 news;            // changes with every fault, every new generation, and now and then a heal
  u64 remarks;         // on candidates, ever: heals that did not stick, or did while on trial
  u8 rest[header_size - 136];
};

// What a sealed slot holds; also the unit of the history file.
struct Slot {
  u64 checksum;  // XXH64 of everything from `kind` to the end of the payload
  RecordKind kind;
  u8 reserved[3];
  u32 payload_size;  // sizeof(FaultRecord) or sizeof(HealRecord), as of the writer
  u64 number;        // ticket: the order of records
  u64 unused;
  union {
    FaultRecord fault;
    HealRecord heal;
    u8 payload[slot_size - 32];
  };
};

// Of a region, a group or a layout of the address space: budget.h.
struct Budget {
  u64 key;               // 0 when free
  u64 minute_and_count;  // minute since 1970 : 32 | spent in it : 32
  u64 ever;              // spent at all
  u64 open;              // the breaker is open until this second since 1970 : 48 | trips : 16
  u64 pages[4];          // one bit for each page that faulted, by keyed hash
};

// How heals by one candidate ended since the promoter last looked.
struct Tally {
  u64 candidate;  // levels.h; 0 when free
  u64 stuck;
  u64 again;
  u64 died;
  u64 value;   // what the newest of them returned ...
  u64 reason;  // ... and its ValueReason
  u64 left_open;
  u64 reserved;
};

enum class TrialState : u8 {
  free = 0,
  reserved = 1,
  pending = 2,   // healed, and no progress point reached since
  watching = 3,  // reached; should the process die soon, that is still held against the candidate
};

// A thread's latest heal.
struct Trial {
  u64 word;  // as a slot's (shared.h), with a TrialState
  u64 candidate;
  u64 time_ns;  // CLOCK_REALTIME
  u64 value;
  u64 reason;
  u64 reserved[3];
};

struct CatalogHeader {
  u64 magic;
  u32 version;
  u32 entry_size;
  u64 generation;
  u32 count;
  u32 reserved;
  u64 written_ns;
  u64 unused[2];
  u64 checksum;  // XXH64 of the 56 bytes before, then of the entries
  u8 rest[header_size - 64];
};

// What is done when the region faults again. Stored: never renumber.
enum class Policy : u8 { heal = 0, stop = 1 };

// How heals by one candidate ended. Halved when one would overflow.
struct Score {
  u16 stuck;      // the thread went on to its next progress point
  u16 again;      // it faulted before that
  u16 died;       // the process ended soon, elsewhere or for no reason known
  u16 left_open;  // a client's connection that nobody closes any more
};

// What `selfheal verify` saw. Stored: never renumber.
enum class Verdict : u8 { none = 0, healed = 1, wrong = 2, crashed = 3, hung = 4, leaked = 5 };
inline constexpr Verdict last_verdict = Verdict::leaked;

// One region: a function of one build of one module, and what is known of its faults.
struct CatalogEntry {
  u64 id;               // hash of (module id, entry offset, code hash), 48 bits; never 0
  RecordModule module;  // the region's module
  u64 entry_offset;     // of the region, from the module's load bias
  u64 code_hash;        // XXH64 of the region's bytes: a rebuilt function does not match
  u32 size;             // bytes

  u8 enabled;         // 0: kept, but not patched
  Policy policy;      //
  u8 policy_by_user;  // 1: set with the CLI; the promoter leaves it alone
  u8 level;           // which function is rolled back and returns an error: levels.h

  u8 value_set;  // 1: `value` is returned instead of what the caller-use rule says
  u8 error_set;  // 1: `error_number` goes to errno
  u8 in_cold_part;
  u8 blamed_frame;
  i32 error_number;
  u64 value;

  u64 first_seen_ns;  // CLOCK_REALTIME
  u64 last_seen_ns;
  u64 fault_count;
  u64 heal_count;  // as archived; those still in the journal are not in it
  u64 last_heal_ns;

  // The fault seen last.
  FaultKind fault_kind;
  Access access;
  u8 signal;
  u8 instruction_size;
  u32 pid;
  u64 address;
  CodeRef site;  // module: index into modules[]
  u8 instruction[15];
  u8 frame_count;
  u8 module_count;
  u8 reserved[7];
  CodeRef frames[max_frames];  // candidates for rescue points; modules as in modules[]
  RecordModule modules[max_record_modules];
  FaultDetail detail;  // its code references: modules as in modules[]

  u8 remedies;  // Remedy bits; 0: Remedy::engine
  u8 remedies_by_user;
  u8 reserved2[2];
  u32 padding;             // Remedy::pad_allocation, bytes
  u64 stack_reserve;       // Remedy::stack_check, bytes
  u64 instruction_budget;  // of one call, learned from those that ended; 0: the option's

  // Candidates (levels.h): level 0 is the region itself, the others are functions on the stack of
  // its last fault, outwards.
  u32 level_frames;   // bits: those of frames[] that are levels
  u8 level_by_user;   // 1: level and value stay as they are
  u8 value_slot;      // which of the level's values is in use
  u8 unfit_levels;    // bits: turned out to be none
  u8 decides_access;  // 1: the runtime has found that it may; it then needs a value that was set
  u64 best_values[max_levels];           // what heals of the level returned by default ...
  ValueReason best_reasons[max_levels];  // ... and why; none: never seen
  Score scores[max_levels][values_a_level];
  Verdict verdicts[max_levels][values_a_level];
  Evidence evidence[max_levels];
  u8 rest[40];
};

static_assert(sizeof(JournalHeader) == header_size);
static_assert(sizeof(Slot) == slot_size);
static_assert(sizeof(Budget) == 64);
static_assert(sizeof(Tally) == 64);
static_assert(sizeof(Trial) == 64);
static_assert(sizeof(Score) == 8);
static_assert(sizeof(CatalogHeader) == header_size);
static_assert(offsetof(JournalHeader, checksum) == 56);
static_assert(offsetof(CatalogHeader, checksum) == 56);
static_assert(offsetof(Slot, fault) == 32);
static_assert(sizeof(CatalogEntry) == slot_size);

inline constexpr u64 budgets_at(u32 slot_count) {
  return header_size + page_up(u64{slot_count} * 8);
}
inline constexpr u64 slots_at(u32 slot_count) {
  return budgets_at(slot_count) + page_up(u64{budget_count} * sizeof(Budget));
}
inline constexpr u64 size_without_tables(u32 slot_count) {
  return slots_at(slot_count) + u64{slot_count} * slot_size;
}
inline constexpr u64 tallies_at(u32 slot_count) {
  return page_up(size_without_tables(slot_count));
}
inline constexpr u64 trials_at(u32 slot_count) {
  return tallies_at(slot_count) + page_up(u64{tally_count} * sizeof(Tally));
}
inline constexpr u64 journal_size(u32 slot_count) {
  return trials_at(slot_count) + page_up(u64{trial_count} * sizeof(Trial));
}
inline constexpr u64 catalog_size(u32 count) {
  return header_size + u64{count} * sizeof(CatalogEntry);
}

// Heals use the first three quarters only, so that they can never starve faults.
inline constexpr u32 heal_slots(u32 slot_count) {
  return slot_count - slot_count / 4;
}

}  // namespace selfheal::store
