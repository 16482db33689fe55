// Options: SELFHEAL_OPTIONS=key=value:key=value, from the one table in options.inc.
//
// A ':' or '\' inside a value is written with a '\' in front. Reading options never fails: an
// unknown name or a bad value is reported as one line and everything else keeps its value. Later
// settings win. No allocation and no libc, so it works in a constructor that runs before libc's;
// any one thread.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "lib/base/text.h"
#include "lib/base/types.h"

namespace selfheal::options {

enum class Mode : u8 { off, observe, heal, eager };
enum class Report : u8 { automatic, always, never };
enum class HeapProbe : u8 { automatic, always, never };
enum class HangScope : u8 { servers, all };
enum class HangAction : u8 { record, heal, abort };
enum class Escalate : u8 { no, unsure, yes };

const char* name_of(Mode mode);
const char* name_of(Report report);
const char* name_of(HeapProbe probe);

// Where a value came from.
enum class Source : u8 { standard, environment, command_line };
const char* name_of(Source source);  // "default", "SELFHEAL_OPTIONS", "command line"

// MODULE!FUNCTION or MODULE+0xOFFSET.
struct RegionOption {
  char module[64];     // base name of the file; empty is not possible
  char function[192];  // dynamic symbol; empty when the region is given by offset
  u64 offset;          // from the module's load bias; meaningful when `function` is empty
};

template <unsigned capacity>
struct RegionList {
  std::array<RegionOption, capacity> items = {};
  unsigned count = 0;
  std::span<const RegionOption> list() const { return {items.data(), count}; }
};

enum class OptionId : u8 {
#define CHOICE(name, ...) name,
#define TEXT(name, ...) name,
#define NUMBER(name, ...) name,
#define SECONDS(name, ...) name,
#define FLAG(name, ...) name,
#define REGIONS(name, ...) name,
#include "lib/options/options.inc"  // NOLINT(bugprone-suspicious-include)
#undef CHOICE
#undef TEXT
#undef NUMBER
#undef SECONDS
#undef FLAG
#undef REGIONS
  count_
};

inline constexpr unsigned option_count = static_cast<unsigned>(OptionId::count_);

// About 6 KiB, constant-initialised with the defaults.
struct Options {
#define CHOICE(name, Type, standard, help) Type name = Type::standard;
#define TEXT(name, capacity, help) char name[capacity] = {};
#define NUMBER(name, standard, least, most, help) u64 name = standard;
#define SECONDS(name, standard, most, help) u64 name = u64{standard} * 1000;
#define FLAG(name, standard, help) bool name = standard;
#define REGIONS(name, capacity, help) RegionList<capacity> name = {};
#include "lib/options/options.inc"  // NOLINT(bugprone-suspicious-include)
#undef CHOICE
#undef TEXT
#undef NUMBER
#undef SECONDS
#undef FLAG
#undef REGIONS
  std::array<Source, option_count> source = {};

  Source source_of(OptionId id) const {
    return source[static_cast<unsigned>(id)];
  }
};

// Receives one line (without newline) for each setting that was not understood.
struct Complaints {
  void (*line)(void* context, const char* text) = nullptr;
  void* context = nullptr;
};

// Applies the settings in `text`.
void apply(std::string_view text, Source source, Options& options, Complaints complaints = {});

// Applies one setting: for the CLI's flags. `name` with '-' or '_'.
bool apply_one(std::string_view name, std::string_view value, Source source, Options& options,
               Complaints complaints = {});

// Applies SELFHEAL_OPTIONS from an environment array ("NAME=value" strings, then nullptr).
void apply_environment(const char* const* environment, Options& options,
                       Complaints complaints = {});

// The settings that are not default, in the form `apply` reads: what `selfheal run` passes on.
void write_settings(const Options& options, Text& out);

// For help, `config` and the documentation.
struct OptionInfo {
  OptionId id;
  const char* name;      // "heals-per-minute"
  const char* allowed;   // "off|observe|heal|eager", "a number from 1 to 4096", ...
  const char* standard;  // the default as text; "" for empty
  const char* help;      // one paragraph
};

std::span<const OptionInfo> table();

// The current value of an option as text; a region list is separated by commas.
void write_value(const Options& options, OptionId id, Text& out);

}  // namespace selfheal::options
