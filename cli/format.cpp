#include "cli/format.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fmt/core.h>

#include "cli/module_finder.h"

namespace selfheal::cli {

std::string hex(u64 value) {
  return fmt::format("0x{:x}", value);
}

std::string utc_time(u64 ns) {
  const std::time_t seconds = static_cast<std::time_t>(ns / 1'000'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     ns % 1'000'000'000);
}

std::optional<i64> number_in(const std::string& text) {
  const bool negative = text.starts_with('-');
  std::string_view digits = std::string_view(text).substr(negative ? 1 : 0);
  const int base = digits.starts_with("0x") ? 16 : 10;
  digits.remove_prefix(base == 16 ? 2 : 0);
  u64 value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return static_cast<i64>(negative ? 0 - value : value);
}

Json json_time(u64 ns) {
  return ns == 0 ? Json(nullptr) : Json(utc_time(ns));
}

u64 now_ns() {
  using namespace std::chrono;
  return static_cast<u64>(
      duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count());
}

std::string age(u64 ns, u64 now) {
  if (ns == 0) {
    return "";
  }
  const u64 seconds = now > ns ? (now - ns) / 1'000'000'000 : 0;
  const auto ago = [](u64 count, const char* unit) {
    return fmt::format("{} {}{} ago", count, unit, count == 1 ? "" : "s");
  };
  if (seconds < 60) {
    return ago(seconds, "second");
  }
  if (seconds < 3600) {
    return ago(seconds / 60, "minute");
  }
  if (seconds < 2 * 86400) {
    return ago(seconds / 3600, "hour");
  }
  return ago(seconds / 86400, "day");
}

Json json_module(const RecordModule& module) {
  const char* kind = "none";
  if (module.id.kind == ModuleIdKind::build_id) {
    kind = "build-id";
  } else if (module.id.kind == ModuleIdKind::content_hash) {
    kind = "content-hash";
  }
  return {{"name", name_of(module)}, {"id_kind", kind}, {"id", id_digits_of(module.id)}};
}

Json json_name(const std::string& name) {
  return name.empty() ? Json(nullptr) : Json(name);
}

void print_json(const Json& document) {
  const std::string text = document.dump(2, ' ', true, Json::error_handler_t::replace);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

}  // namespace selfheal::cli
