// The table as data: names, defaults and help for people, and values written back as text.
#include "lib/options/options.h"
#include "lib/options/words.h"

namespace selfheal::options {
namespace {

// "off|observe|heal" at compile time.
template <typename Choice>
struct Joined {
  static constexpr std::size_t size = [] {
    std::size_t total = 0;
    for (const char* word : Words<Choice>::list) {
      total += std::string_view(word).size() + 1;
    }
    return total;
  }();

  static constexpr std::array<char, size> text = [] {
    std::array<char, size> joined = {};
    std::size_t at = 0;
    for (const char* word : Words<Choice>::list) {
      for (const char c : std::string_view(word)) {
        joined[at++] = c;
      }
      joined[at++] = '|';
    }
    joined[size - 1] = '\0';
    return joined;
  }();
};

// "heals_per_minute" as people write it: "heals-per-minute".
template <std::size_t size>
struct Dashed {
  char text[size];
  consteval explicit(false) Dashed(const char (&identifier)[size]) : text{} {
    for (std::size_t i = 0; i < size; ++i) {
      text[i] = identifier[i] == '_' ? '-' : identifier[i];
    }
  }
};

template <Dashed name>
constexpr const char* dashed() {
  return name.text;
}

template <typename Choice>
constexpr const char* word_of(Choice choice) {
  const auto index = static_cast<unsigned>(choice);
  return index < Words<Choice>::list.size() ? Words<Choice>::list[index] : "unknown";
}

constexpr OptionInfo options_table[] = {
#define CHOICE(name, Type, standard, help) \
  {OptionId::name, dashed<#name>(), Joined<Type>::text.data(), word_of(Type::standard), help},
#define TEXT(name, capacity, help) \
  {OptionId::name, dashed<#name>(), "a text of less than " #capacity " bytes", "", help},
#define NUMBER(name, standard, least, most, help) \
  {OptionId::name, dashed<#name>(), "a number from " #least " to " #most, #standard, help},
#define SECONDS(name, standard, most, help)                                                   \
  {OptionId::name, dashed<#name>(), "seconds from 0 to " #most ", with up to three decimals", \
   #standard, help},
#define FLAG(name, standard, help) \
  {OptionId::name, dashed<#name>(), "yes|no", (standard) ? "yes" : "no", help},
#define REGIONS(name, capacity, help) \
  {OptionId::name, dashed<#name>(),   \
   "MODULE!FUNCTION or MODULE+0xOFFSET, up to " #capacity " times", "", help},
#include "lib/options/options.inc"  // NOLINT(bugprone-suspicious-include)
#undef CHOICE
#undef TEXT
#undef NUMBER
#undef SECONDS
#undef FLAG
#undef REGIONS
};

static_assert(std::size(options_table) == option_count);

void write(Text& out, const RegionOption& region) {
  out << region.module;
  if (region.function[0] != '\0') {
    out << '!' << region.function;
  } else {
    (out << "+0x").hex(region.offset);
  }
}

void write_seconds(Text& out, u64 milliseconds) {
  out.decimal(milliseconds / 1000);
  u64 rest = milliseconds % 1000;
  if (rest != 0) {
    out << '.';
    for (u64 unit = 100; rest != 0; unit /= 10) {
      out << static_cast<char>('0' + rest / unit);
      rest %= unit;
    }
  }
}

// A value inside SELFHEAL_OPTIONS: ':' separates settings, so it is escaped.
void write_escaped(Text& out, const char* value) {
  for (; *value != '\0'; ++value) {
    if (*value == ':' || *value == '\\') {
      out << '\\';
    }
    out << *value;
  }
}

void write_setting(Text& out, const char* name, const char* value) {
  if (out.size() > 0) {
    out << ':';
  }
  out << name << '=';
  write_escaped(out, value);
}

}  // namespace

const char* name_of(Mode mode) {
  return word_of(mode);
}

const char* name_of(Report report) {
  return word_of(report);
}

const char* name_of(HeapProbe probe) {
  return word_of(probe);
}

const char* name_of(Source source) {
  switch (source) {
    case Source::standard:
      return "default";
    case Source::environment:
      return "SELFHEAL_OPTIONS";
    case Source::command_line:
      return "command line";
  }
  return "unknown";
}

std::span<const OptionInfo> table() {
  return options_table;
}

void write_value(const Options& options, OptionId id, Text& out) {
  switch (id) {
#define CHOICE(name, ...)         \
  case OptionId::name:            \
    out << word_of(options.name); \
    break;
#define TEXT(name, ...)  \
  case OptionId::name:   \
    out << options.name; \
    break;
#define NUMBER(name, ...)      \
  case OptionId::name:         \
    out.decimal(options.name); \
    break;
#define SECONDS(name, ...)            \
  case OptionId::name:                \
    write_seconds(out, options.name); \
    break;
#define FLAG(name, ...)                   \
  case OptionId::name:                    \
    out << (options.name ? "yes" : "no"); \
    break;
#define REGIONS(name, ...)                                     \
  case OptionId::name:                                         \
    for (unsigned i = 0; i < options.name.count; ++i) {        \
      write(i == 0 ? out : out << ',', options.name.items[i]); \
    }                                                          \
    break;
#include "lib/options/options.inc"  // NOLINT(bugprone-suspicious-include)
#undef CHOICE
#undef TEXT
#undef NUMBER
#undef SECONDS
#undef FLAG
#undef REGIONS
    case OptionId::count_:
      break;
  }
}

void write_settings(const Options& options, Text& out) {
  for (const OptionInfo& info : options_table) {
    if (options.source_of(info.id) == Source::standard) {
      continue;
    }
    char value[1024];
    Text text(value, sizeof value);
    if (info.id == OptionId::region) {
      for (const RegionOption& region : options.region.list()) {
        text.clear();
        write(text, region);
        write_setting(out, info.name, value);
      }
      continue;
    }
    write_value(options, info.id, text);
    write_setting(out, info.name, value);
  }
}

}  // namespace selfheal::options
