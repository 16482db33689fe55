// What is known of functions, whether they ever faulted or not: what they are declared to return,
// and which values say that they failed.
//
//   functions   (replaced as a whole by rename, written by the store's owner only)
//   ┌────────────────┐ 0
//   │ FunctionHeader │   magic, version, count, checksum over all that follows
//   ├────────────────┤ 64
//   │ FunctionEntry[]│   count x 256 bytes, sorted by (module id, entry offset)
//   └────────────────┘
//
// Absent: nothing is known. Processes read it when they start, and again whenever the catalog has a
// new generation: whoever writes it commits the catalog afterwards.
//
// Reading: any thread, no system call. Loading: one thread.
#pragma once

#include <span>

#include "lib/base/record.h"
#include "lib/base/types.h"
#include "lib/store/error.h"
#include "lib/store/files.h"

namespace selfheal::store {

inline constexpr u64 functions_magic = 0x3146'4c41'4548'4653;  // "SFHEALF1"
inline constexpr u32 functions_version = 1;
inline constexpr const char* functions_name = "functions";
inline constexpr u32 max_functions = 4096;
inline constexpr u32 max_error_values = 4;

// What a function is declared to return. Stored: never renumber.
enum class DeclaredType : u8 {
  unknown = 0,
  nothing = 1,      // void
  truth = 2,        // bool, gboolean ...
  number = 3,       // signed
  count = 4,        // unsigned, size_t
  pointer = 5,      // or a reference
  enumeration = 6,  //
  real = 7,         // float, double
  object = 8,       // a struct, class or union
};
inline constexpr DeclaredType last_declared_type = DeclaredType::object;

// A value that says "it failed", and how often it was seen (learning.h).
struct ErrorValue {
  u64 value;  // in rax
  u64 good;   // calls that returned it while all was well; of one that was learned: none
  u64 bad;    // ... while the program got what it has to refuse
};

struct FunctionEntry {
  RecordModule module;
  u64 entry_offset;  // from the module's load bias
  u64 code_hash;     // XXH64 of its bytes; 0: whichever they are (the module's id vouches for them)
  DeclaredType declared;
  u8 failure_known;  // 1: `failure` is the enumerator that says failure by its name
  u8 error_count;
  u8 by_user;      // 1: the error values were set, and are not to be learned anew
  u8 declared_by;  // 1: debug information was looked for; `declared` is what it says
  u8 reserved[3];
  u64 failure;
  ErrorValue errors[max_error_values];  // the one seen most comes first
  u64 calls_good;                       // seen in all
  u64 calls_bad;
  u64 learned_ns;  // CLOCK_REALTIME
  u8 rest[40];
};

struct FunctionHeader {
  u64 magic;
  u32 version;
  u32 entry_size;
  u32 count;
  u32 reserved;
  u64 written_ns;
  u64 unused[3];
  u64 checksum;  // XXH64 of the 56 bytes before, then of the entries
};

static_assert(sizeof(FunctionEntry) == 256);
static_assert(sizeof(FunctionHeader) == 64);
static_assert(offsetof(FunctionHeader, checksum) == 56);

u64 functions_checksum(const FunctionHeader& header, const FunctionEntry* entries);

// By module, then by offset.
bool before(const FunctionEntry& a, const FunctionEntry& b);

// One checked, private copy of the file.
class Functions {
 public:
  Functions() = default;

  // Refuses anything that is not whole and valid, with a line in `error`; nothing is known then.
  bool load(int fd, const char* name, Error& error);
  void close() { copy_.release(); }

  std::span<const FunctionEntry> entries() const;

  // What is known of the function; `code_hash` 0: of whichever code. Null: nothing.
  const FunctionEntry* find(const ModuleId& module, u64 entry_offset, u64 code_hash) const;

 private:
  const FunctionHeader& header() const {
    return *pointer_to<const FunctionHeader>(address_of(copy_.data()));
  }

  Pages copy_;
};

// Is there a value that the function is known to fail with?
bool has_learned_error(const Functions& functions, const ModuleId& module, u64 entry_offset);

// Has the user said what it fails with (`selfheal learn --set`)? What was only learned is not
// enough where access is decided about: those who were watched may have had an interest in it.
bool user_names_error(const Functions& functions, const ModuleId& module, u64 entry_offset);

const char* name_of(DeclaredType type);

}  // namespace selfheal::store
