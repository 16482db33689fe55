// The policy rules: what is done about the faults of which functions, in place of what we would do
// by ourselves. Written by `selfheal policy apply` from TOML, read once when the store is opened.
//
//   policy   (replaced as a whole by rename, written by the store's owner only)
//   ┌────────────┐ 0
//   │ RuleHeader │   magic, version, count, checksum over all that follows
//   ├────────────┤ 64
//   │ Rule[]     │   count x 384 bytes, in the order of the files: a later one has the last word
//   └────────────┘
//
// Before the user's rules come those of built_in_rules(): what decides about access is not healed
// by a guess. The catalog's word on one region (`selfheal set`) comes after all rules.
//
// Reading: any thread, no system call. Loading: one thread.
#pragma once

#include <span>
#include <string_view>

#include "lib/base/module_id.h"
#include "lib/base/types.h"
#include "lib/store/error.h"
#include "lib/store/files.h"
#include "lib/store/format.h"

namespace selfheal::store {

inline constexpr u64 rules_magic = 0x3150'4c41'4548'4653;  // "SFHEALP1"
inline constexpr u32 rules_version = 1;
inline constexpr const char* rules_name = "policy";
inline constexpr u32 max_rules = 256;

// What is done when a region faults. Stored: never renumber.
enum class RuleMode : u8 {
  unset = 0,
  heal = 1,
  observe = 2,   // record, run natively
  stop = 3,      // as observe; said to be on purpose
  simulate = 4,  // run by the engine; a fault is written down as it would be healed, then happens
  known_value = 5,  // heal, but only with a value that was set or learned, never a guess
};

inline constexpr RuleMode last_rule_mode = RuleMode::known_value;

// Texts are patterns, '*' and '?', upper and lower case alike; an empty one fits everything.
struct Rule {
  char program[64];    // base name of the program's file
  char module[64];     // base name of the module's file
  char function[128];  // its name; a function without one is fitted by "" and "*" only
  u8 build_id[20];     // its first `build_id_size` bytes
  u8 build_id_size;
  RuleMode mode;
  u8 value_set;
  u8 error_set;
  u8 percent_set;
  u8 percent;  // of the faults that are healed; the rest end the process
  u8 level_set;
  u8 level;  // which function is rolled back and returns an error: levels.h
  i32 error_number;
  u64 value;
  u8 reserved2[88];
};

struct RuleHeader {
  u64 magic;
  u32 version;
  u32 rule_size;
  u32 count;
  u32 reserved;
  u64 written_ns;
  u64 source;  // XXH64 of the TOML files it was made from
  u64 unused[2];
  u64 checksum;  // XXH64 of the 56 bytes before, then of the rules
};

static_assert(sizeof(Rule) == 384);
static_assert(sizeof(RuleHeader) == 64);

// What rules speak of.
struct RuleSubject {
  std::string_view program;
  std::string_view module;
  std::string_view function;  // empty: it has no name
  const ModuleId& id;
};

struct Decision {
  RuleMode mode = RuleMode::heal;
  u8 percent = 100;
  bool value_set = false;
  bool error_set = false;
  bool level_set = false;
  u8 level = 0;
  i32 error_number = 0;
  u64 value = 0;
};

bool fits(const Rule& rule, const RuleSubject& subject);

// The last rule that fits and speaks of a setting decides it.
void decide(std::span<const Rule> rules, const RuleSubject& subject, Decision& decision);

// What the user has said of this one region (`selfheal set`) is the last word.
void decide(const CatalogEntry& entry, Decision& decision);

// Access decisions: see builtin_rules.cpp.
std::span<const Rule> built_in_rules();

u64 rules_checksum(const RuleHeader& header, const Rule* rules);

// One checked, private copy of the file.
class Rules {
 public:
  // Refuses anything that is not whole and valid, with a line in `error`; there are then no rules.
  bool load(int fd, const char* name, Error& error);
  void close() { copy_.release(); }

  std::span<const Rule> list() const;
  u64 source() const { return copy_.empty() ? 0 : header().source; }

 private:
  const RuleHeader& header() const {
    return *pointer_to<const RuleHeader>(address_of(copy_.data()));
  }

  Pages copy_;
};

const char* name_of(RuleMode mode);

}  // namespace selfheal::store
