// What watched functions return, in good and in bad traffic: counts in a shared mapping, so that
// forked and sandboxed workers contribute with plain atomic additions.
//
//   learning   (fixed size, mapped read-write and shared; made when learning is first wanted)
//   ┌────────────────┐ 0
//   │ LearningHeader │ which functions, and what the traffic is just now: the owner's word
//   ├────────────────┤ 4096
//   │ WatchedCell[]  │ one a function: what it returned how often
//   └────────────────┘
//
//   cell:  free ──cas──► claimed ──module, entry──► ready       for good: a function keeps its cell
//   value: free ──cas──► claimed ──value──────────► ready
//
// Nothing in here is believed by itself: the owner draws his conclusions from it (learned_values.h)
// when he says so, and they go to the functions' file, which is his alone.
//
// Counting: no system call, lock, allocation or vector register; any thread, the region path
// included.
#pragma once

#include <span>

#include "lib/base/record.h"
#include "lib/base/types.h"
#include "lib/store/error.h"

namespace selfheal::store {

inline constexpr u64 learning_magic = 0x314c'4c41'4548'4653;  // "SFHEALL1"
inline constexpr u32 learning_version = 1;
inline constexpr const char* learning_name = "learning";
inline constexpr u32 max_watched = 512;
inline constexpr u32 max_watch_requests = 16;
inline constexpr u32 values_a_function = 8;
inline constexpr u32 large_values = 4;  // so many of them may be addresses and the like

// What the program gets to do at the time.
enum class Period : u64 { off = 0, good = 1, bad = 2 };
inline constexpr Period last_period = Period::bad;

// Functions to watch: always those that the catalog knows of, regions and levels.
struct WatchRequest {
  char module[64];  // base name of its file
  char function[120];
  u64 offset;  // of its entry, where `function` is empty
};

struct LearningHeader {
  u64 magic;
  u32 version;
  u32 cell_size;
  u32 cell_count;
  u32 reserved;
  u64 created_ns;
  u64 unused[3];
  u64 checksum;  // XXH64 of the 56 bytes before

  u64 period;     // Period
  u64 watch_all;  // 1: all functions of the program itself, as far as cells last
  u64 requests;   // in use
  u64 left_out;   // functions that found no cell
  WatchRequest request[max_watch_requests];
  u8 rest[928];
};

struct SeenValue {
  u64 state;
  u64 value;
  u64 good;
  u64 bad;
};

struct WatchedCell {
  u64 state;
  RecordModule module;
  u64 entry_offset;
  u64 code_hash;
  SeenValue values[values_a_function];
  u64 other_good;  // returned something that found no place in `values`
  u64 other_bad;
  u8 rest[152];
};

static_assert(sizeof(LearningHeader) == 4096);
static_assert(offsetof(LearningHeader, checksum) == 56);
static_assert(sizeof(WatchedCell) == 512);

inline constexpr u64 learning_size =
    sizeof(LearningHeader) + u64{max_watched} * sizeof(WatchedCell);

class Learning {
 public:
  // Uses a mapping of learning_size bytes after checking its header; the mapping stays the
  // caller's.
  bool attach(void* memory, u64 size, const char* name, Error& error);
  static void format(LearningHeader& header, u64 now_ns);

  bool mapped() const { return header_ != nullptr; }
  void* memory() const { return header_; }

  Period period() const;
  bool watches_all() const;
  // A copy, made safe to read. False: there are no more.
  bool request(u32 index, WatchRequest& out) const;

  // The function's cell, taken if need be; -1: none is left.
  i32 cell_of(const RecordModule& module, u64 entry_offset, u64 code_hash) const;

  // A call of cell `index`'s function came to its end with `value` in rax.
  void count(i32 index, u64 value) const;

  // Cell `index` < max_watched as it is now, made safe to read. False: it is free.
  bool read(u32 index, WatchedCell& out) const;
  u64 left_out() const;

  // The owner's.
  void set_period(Period period) const;
  void set_requests(std::span<const WatchRequest> requests, bool all) const;
  void forget_counts() const;

 private:
  LearningHeader* header_ = nullptr;
  WatchedCell* cells_ = nullptr;
};

const char* name_of(Period period);

}  // namespace selfheal::store
