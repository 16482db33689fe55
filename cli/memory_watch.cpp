#include "cli/memory_watch.h"

#include <fmt/core.h>

#include "cli/process_tree.h"

namespace selfheal::cli {
namespace {

constexpr std::chrono::milliseconds interval{500};

}  // namespace

void MemoryWatch::program_started(pid_t, Clock::time_point now) {
  next_ = now + interval;
}

std::optional<Trouble> MemoryWatch::look(Clock::time_point now) {
  if (now < next_) {
    return {};
  }
  next_ = now + interval;
  const std::vector<pid_t> processes = processes_();
  u64 used = 0;
  for (const pid_t pid : processes) {
    used += resident_bytes(pid);
  }
  if (used <= limit_) {
    return {};
  }
  // Shared pages were counted more than once. The exact sum makes the kernel walk page tables, so
  // it is asked for only here.
  used = 0;
  for (const pid_t pid : processes) {
    used += proportional_bytes(pid);
  }
  if (used <= limit_) {
    return {};
  }
  next_ = Clock::time_point::max();
  return Trouble{
      FaultKind::memory_growth,
      fmt::format("it uses {}, more than its limit of {}", size_text(used), size_text(limit_)),
      used};
}

std::string size_text(u64 bytes) {
  constexpr const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  unsigned unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit) {
    value /= 1024;
  }
  const std::string number = fmt::format("{:.{}f}", value, unit == 0 || value >= 100 ? 0 : 1);
  return fmt::format("{} {}", number.ends_with(".0") ? number.substr(0, number.size() - 2) : number,
                     units[unit]);
}

}  // namespace selfheal::cli
