// The parser: text to Options. See options.h.
#include "lib/options/options.h"

#include "lib/base/function_name.h"
#include "lib/base/view.h"
#include "lib/options/suggest.h"
#include "lib/options/words.h"

namespace selfheal::options {
namespace {

constexpr unsigned longest_setting = 1024;

bool copy(std::string_view value, char* to, unsigned capacity) {
  if (value.size() >= capacity || value.find('\0') != std::string_view::npos) {
    return false;
  }
  to[value.copy(to, capacity - 1)] = '\0';
  return true;
}

template <typename Choice>
bool parse(std::string_view value, Choice& out) {
  for (unsigned i = 0; i < Words<Choice>::list.size(); ++i) {
    if (value == Words<Choice>::list[i]) {
      out = static_cast<Choice>(i);
      return true;
    }
  }
  return false;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 16;
}

// Decimal, or hexadecimal after "0x"; no sign, no suffix.
bool parse_number(std::string_view value, u64& out) {
  const u64 base = value.starts_with("0x") ? 16 : 10;
  value.remove_prefix(base == 16 ? 2 : 0);
  if (value.empty()) {
    return false;
  }
  u64 number = 0;
  for (const char c : value) {
    const auto digit = static_cast<u64>(digit_of(c));
    if (digit >= base || __builtin_mul_overflow(number, base, &number) ||
        __builtin_add_overflow(number, digit, &number)) {
      return false;
    }
  }
  out = number;
  return true;
}

bool parse_number(std::string_view value, u64 least, u64 most, u64& out) {
  u64 number = 0;
  if (!parse_number(value, number) || number < least || number > most) {
    return false;
  }
  out = number;
  return true;
}

// Seconds with up to three decimals, as milliseconds.
bool parse_seconds(std::string_view value, u64 most, u64& out) {
  const std::size_t point = value.find('.');
  u64 seconds = 0;
  u64 thousandths = 0;
  if (point != std::string_view::npos) {
    const std::string_view decimals = tail(value, point + 1);
    if (decimals.empty() || decimals.size() > 3 || decimals.starts_with("0x") ||
        !parse_number(decimals, thousandths)) {
      return false;
    }
    for (std::size_t i = decimals.size(); i < 3; ++i) {
      thousandths *= 10;
    }
    value = head(value, point);
  }
  if (!parse_number(value, 0, most, seconds) || seconds * 1000 + thousandths > most * 1000) {
    return false;
  }
  out = seconds * 1000 + thousandths;
  return true;
}

bool parse_flag(std::string_view value, bool& out) {
  for (const char* yes : {"yes", "true", "on", "1", ""}) {
    if (value == yes) {
      out = true;
      return true;
    }
  }
  for (const char* no : {"no", "false", "off", "0"}) {
    if (value == no) {
      out = false;
      return true;
    }
  }
  return false;
}

bool parse_region(std::string_view value, RegionOption& out) {
  RegionOption region = {};
  FunctionName name;
  if (!split_function_name(value, name) ||
      !copy(name.module, region.module, sizeof region.module) ||
      !copy(name.function, region.function, sizeof region.function) ||
      (name.function.empty() && !parse_number(name.offset, region.offset))) {
    return false;
  }
  out = region;
  return true;
}

template <unsigned capacity>
bool parse_region(std::string_view value, RegionList<capacity>& list) {
  if (list.count == capacity || !parse_region(value, list.items[list.count])) {
    return false;
  }
  ++list.count;
  return true;
}

bool set(OptionId id, std::string_view value, Options& options) {
  switch (id) {
#define CHOICE(name, ...) \
  case OptionId::name:    \
    return parse(value, options.name);
#define TEXT(name, capacity, help) \
  case OptionId::name:             \
    return copy(value, options.name, capacity);
#define NUMBER(name, standard, least, most, help) \
  case OptionId::name:                            \
    return parse_number(value, least, most, options.name);
#define SECONDS(name, standard, most, help) \
  case OptionId::name:                      \
    return parse_seconds(value, most, options.name);
#define FLAG(name, ...) \
  case OptionId::name:  \
    return parse_flag(value, options.name);
#define REGIONS(name, ...) \
  case OptionId::name:     \
    return parse_region(value, options.name);
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
  return false;
}

bool same_name(std::string_view written, std::string_view known) {
  if (written.size() != known.size()) {
    return false;
  }
  for (std::size_t i = 0; i < known.size(); ++i) {
    if ((written[i] == '_' ? '-' : written[i]) != known[i]) {
      return false;
    }
  }
  return true;
}

const OptionInfo* find(std::string_view name) {
  for (const OptionInfo& info : table()) {
    if (same_name(name, info.name)) {
      return &info;
    }
  }
  return nullptr;
}

const OptionInfo& nearest(std::string_view name) {
  const OptionInfo* best = &table()[0];
  for (const OptionInfo& info : table()) {
    if (edit_distance(name, info.name) < edit_distance(name, best->name)) {
      best = &info;
    }
  }
  return *best;
}

// What people wrote, printable: it may come from anywhere and goes to a terminal.
Text& quote(Text& out, std::string_view text) {
  for (const char c : head(text, 80)) {
    out << (c < ' ' || c > '~' ? '?' : c);
  }
  return text.size() > 80 ? out << "..." : out;
}

class Complaint {
 public:
  Complaint(Complaints to, Source source) : to_(to) { text_ << name_of(source) << ": "; }
  Complaint(const Complaint&) = delete;
  Complaint& operator=(const Complaint&) = delete;
  ~Complaint() {
    if (to_.line != nullptr) {
      to_.line(to_.context, buffer_);
    }
  }
  Text& text() { return text_; }

 private:
  Complaints to_;
  char buffer_[512] = {};
  Text text_{buffer_, sizeof buffer_};
};

// The unknown names of one text, so that each is reported once.
struct Reported {
  u64 names[16] = {};
  unsigned count = 0;

  bool again(std::string_view name) {
    u64 hash = 0xcbf2'9ce4'8422'2325;  // FNV-1a
    for (const char c : name) {
      hash = (hash ^ static_cast<u8>(c)) * 0x100'0000'01b3;
    }
    for (unsigned i = 0; i < count; ++i) {
      if (names[i] == hash) {
        return true;
      }
    }
    if (count < std::size(names)) {
      names[count++] = hash;
    }
    return false;
  }
};

bool apply_setting(std::string_view name, std::string_view value, Source source, Options& options,
                   Complaints complaints, Reported& reported) {
  const OptionInfo* info = find(name);
  if (info == nullptr) {
    if (!reported.again(name)) {
      Complaint complaint(complaints, source);
      quote(complaint.text() << "unknown option '", name)
          << "'; the nearest known one is '" << nearest(name).name << "'";
    }
    return false;
  }
  if (!set(info->id, value, options)) {
    Complaint complaint(complaints, source);
    quote(complaint.text() << "option " << info->name << ": '", value)
        << "' is not allowed, only " << info->allowed << "; keeping '";
    write_value(options, info->id, complaint.text());
    complaint.text() << "'";
    return false;
  }
  options.source[static_cast<unsigned>(info->id)] = source;
  return true;
}

}  // namespace

bool apply_one(std::string_view name, std::string_view value, Source source, Options& options,
               Complaints complaints) {
  Reported reported;
  return apply_setting(name, value, source, options, complaints, reported);
}

void apply(std::string_view text, Source source, Options& options, Complaints complaints) {
  Reported reported;
  char setting[longest_setting];
  while (!text.empty()) {
    std::size_t size = 0;
    std::size_t used = 0;
    bool cut = false;
    for (; used < text.size() && text[used] != ':'; ++used) {
      if (text[used] == '\\' && used + 1 < text.size()) {
        ++used;
      }
      cut = cut || size == sizeof setting;
      if (!cut) {
        setting[size++] = text[used];
      }
    }
    text.remove_prefix(used < text.size() ? used + 1 : used);
    const std::string_view item(setting, size);
    const std::size_t equals = item.find('=');
    if (item.empty()) {
      continue;
    }
    if (cut) {
      Complaint complaint(complaints, source);
      quote(complaint.text() << "too long and left out: ", item);
      continue;
    }
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : tail(item, equals + 1);
    apply_setting(head(item, equals), value, source, options, complaints, reported);
  }
}

void apply_environment(const char* const* environment, Options& options, Complaints complaints) {
  constexpr std::string_view prefix = "SELFHEAL_OPTIONS=";
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view variable = *environment;
    if (variable.starts_with(prefix)) {
      apply(tail(variable, prefix.size()), Source::environment, options, complaints);
      return;
    }
  }
}

}  // namespace selfheal::options
