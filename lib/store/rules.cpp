#include "lib/store/rules.h"

#include <string.h>

#include "lib/store/checksum.h"

namespace selfheal::store {
namespace {

constexpr const char* remedy = "; `selfheal policy apply` writes it anew";
constexpr u64 largest = sizeof(RuleHeader) + u64{max_rules} * sizeof(Rule);

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

// '*' and '?'. Goes back to the last star only, so its time is the product of the lengths at most.
bool matches(const char* pattern, std::string_view text) {
  const char* star = nullptr;
  u64 at = 0;
  u64 behind_star = 0;
  while (at < text.size()) {
    if (*pattern == '*') {
      star = ++pattern;
      behind_star = at;
    } else if (*pattern == '?' || (*pattern != '\0' && lower(*pattern) == lower(text[at]))) {
      ++pattern;
      ++at;
    } else if (star != nullptr) {
      pattern = star;
      at = ++behind_star;
    } else {
      return false;
    }
  }
  while (*pattern == '*') {
    ++pattern;
  }
  return *pattern == '\0';
}

bool matches_or_any(const char* pattern, std::string_view text) {
  return pattern[0] == '\0' || matches(pattern, text);
}

template <u64 size>
void end_text(char (&text)[size]) {
  text[size - 1] = '\0';
}

void sanitize(Rule& rule) {
  end_text(rule.program);
  end_text(rule.module);
  end_text(rule.function);
  rule.build_id_size = rule.build_id_size > sizeof rule.build_id ? 0 : rule.build_id_size;
  rule.mode = rule.mode > last_rule_mode ? RuleMode::stop : rule.mode;
  rule.percent = rule.percent > 100 ? 100 : rule.percent;
}

}  // namespace

bool fits(const Rule& rule, const RuleSubject& subject) {
  return matches_or_any(rule.program, subject.program) &&
         matches_or_any(rule.module, subject.module) &&
         matches_or_any(rule.function, subject.function) && rule.build_id_size <= subject.id.size &&
         memcmp(rule.build_id, subject.id.bytes, rule.build_id_size) == 0;
}

void decide(std::span<const Rule> rules, const RuleSubject& subject, Decision& decision) {
  for (const Rule& rule : rules) {
    if (!fits(rule, subject)) {
      continue;
    }
    decision.mode = rule.mode != RuleMode::unset ? rule.mode : decision.mode;
    decision.percent = rule.percent_set != 0 ? rule.percent : decision.percent;
    if (rule.value_set != 0) {
      decision.value_set = true;
      decision.value = rule.value;
    }
    if (rule.error_set != 0) {
      decision.error_set = true;
      decision.error_number = rule.error_number;
    }
    if (rule.level_set != 0) {
      decision.level_set = true;
      decision.level = rule.level;
    }
  }
}

void decide(const CatalogEntry& entry, Decision& decision) {
  if (entry.policy_by_user != 0) {
    decision.mode = entry.policy == Policy::heal ? RuleMode::heal : RuleMode::stop;
  } else if (entry.policy == Policy::stop) {
    decision.mode = RuleMode::stop;
  }
  if (entry.value_set != 0) {
    decision.value_set = true;
    decision.value = entry.value;
  }
  if (entry.error_set != 0) {
    decision.error_set = true;
    decision.error_number = entry.error_number;
  }
}

u64 rules_checksum(const RuleHeader& header, const Rule* rules) {
  return checksum(rules, u64{header.count} * sizeof(Rule),
                  checksum(&header, offsetof(RuleHeader, checksum)));
}

bool Rules::load(int fd, const char* name, Error& error) {
  close();
  if (!copy_.reserve(largest)) {
    error.begin() << name << ": no memory to read it into";
    return false;
  }
  const long size = read_at(fd, copy_.data(), largest, 0);
  const RuleHeader& header = this->header();
  Rule* const rules = pointer_to<Rule>(address_of(copy_.data()) + sizeof header);
  if (size < static_cast<long>(sizeof header) || header.magic != rules_magic) {
    error.at(name, 0) << "these are no policy rules" << remedy;
  } else if (header.version != rules_version || header.rule_size != sizeof(Rule) ||
             header.count > max_rules) {
    error.at(name, offsetof(RuleHeader, version)) << "rules of another version" << remedy;
  } else if (static_cast<u64>(size) < sizeof header + header.count * sizeof(Rule) ||
             header.checksum != rules_checksum(header, rules)) {
    error.at(name, offsetof(RuleHeader, checksum)) << "the checksum is wrong" << remedy;
  } else {
    for (u32 i = 0; i < header.count; ++i) {
      sanitize(rules[i]);
    }
    return true;
  }
  close();
  return false;
}

std::span<const Rule> Rules::list() const {
  if (copy_.empty()) {
    return {};
  }
  return {pointer_to<const Rule>(address_of(copy_.data()) + sizeof(RuleHeader)), header().count};
}

const char* name_of(RuleMode mode) {
  switch (mode) {
    case RuleMode::unset:
      return "unset";
    case RuleMode::heal:
      return "heal";
    case RuleMode::observe:
      return "observe";
    case RuleMode::stop:
      return "stop";
    case RuleMode::simulate:
      return "simulate";
    case RuleMode::known_value:
      return "known-value";
  }
  return "unknown";
}

}  // namespace selfheal::store
