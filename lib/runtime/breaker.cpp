#include "lib/runtime/breaker.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/raw_syscall.h"
#include "lib/image/module.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/runtime.h"
#include "lib/store/budget.h"

namespace selfheal::runtime {
namespace {

// A group may show as many distinct pages as this many regions.
constexpr u64 regions_of_a_group = 4;
constexpr u64 first_pause = 60;  // seconds
constexpr u64 until_closed_by_hand = 0;

constinit u64 group = 0;
constinit u64 layout = 0;

// Says a fault at this address anything about what is mapped where? Not in the NULL page.
u64 probed_address(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::wild_access:
    case FaultKind::bus:
    case FaultKind::exec_violation:
    case FaultKind::protection_key:
      return fault.address < null_page_end ? 0 : fault.address;
    default:
      return 0;
  }
}

enum class Verdict : u8 { allow, rate, probing };

// 0: no limit.
Verdict judge(const store::BudgetUse& use, u64 per_minute, u64 pages) {
  if (pages != 0 && use.distinct_pages > pages) {
    return Verdict::probing;
  }
  return per_minute != 0 && use.this_minute > per_minute ? Verdict::rate : Verdict::allow;
}

bool spend(u64 key, const Fault& fault, u64 per_minute, u64 pages, u64 now_ns) {
  store::Journal& journal = runtime.store.journal;
  const Verdict verdict =
      judge(store::budget_spend(journal, key, probed_address(fault), now_ns), per_minute, pages);
  if (verdict == Verdict::allow) {
    return true;
  }
  const bool probing = verdict == Verdict::probing;
  store::budget_open(journal, key, probing ? until_closed_by_hand : first_pause, now_ns);
  journal.tell_news();
  if (!reports_wanted()) {
    return false;
  }
  say(probing ? "security event: one fault in many different pages: somebody may be looking for "
                "what is where; healing stops until `selfheal enable`"
              : "too many heals in a minute: healing pauses");
  return false;
}

}  // namespace

void learn_group() {
  image::Module program{};
  image::find_module(getauxval(AT_ENTRY), program);
  u64 hash = 0xcbf2'9ce4'8422'2325;
  for (const u8 byte : program.id.bytes) {
    hash = (hash ^ byte) * 0x100'0000'01b3;  // FNV-1a
  }
  group = store::group_budget(hash);
  // The kernel's 16 random bytes, from which libc makes the canary: each execve has others.
  const auto* random = pointer_to<const u8>(getauxval(AT_RANDOM));
  if (random != nullptr) {
    u64 seed[2];
    std::memcpy(seed, random, sizeof seed);
    layout = store::layout_budget((seed[0] * 0x9e37'79b9'7f4a'7c15) ^ seed[1]);
  }
}

bool may_spend(u64 region_key, const Fault& fault, u64 now_ns) {
  const options::Options& limits = runtime.options;
  if (breaker_open_until(region_key, now_ns) != 0) {
    return false;
  }
  return spend(region_key, fault, limits.heals_per_minute, limits.probe_pages, now_ns) &&
         spend(group, fault, limits.heals_per_group, limits.probe_pages * regions_of_a_group,
               now_ns);
}

u64 breaker_open_until(u64 region_key, u64 now_ns) {
  const store::Journal& journal = runtime.store.journal;
  return std::max(store::budget_open_until(journal, region_key, now_ns),
                  store::budget_open_until(journal, group, now_ns));
}

void count_death(FaultKind kind, u64 now_ns) {
  const bool counts = is_integrity(kind) || kind == FaultKind::stack_overwrite;
  if (!counts || layout == 0 || runtime.options.integrity_deaths == 0) {
    return;
  }
  store::Journal& journal = runtime.store.journal;
  if (store::budget_spend(journal, layout, 0, now_ns).ever >= runtime.options.integrity_deaths) {
    store::budget_open(journal, layout, until_closed_by_hand, now_ns);
    journal.tell_news();
  }
}

void end_if_besieged() {
  if (layout == 0 || store::budget_open_until(runtime.store.journal, layout, 0) == 0) {
    return;
  }
  if (reports_wanted()) {
    say("security event: too many processes of this layout have died of integrity faults; this one "
        "ends, to be started again with a new layout");
  }
  // Not to be caught, nor taken for a fault of the program's. The first process of a container
  // cannot kill itself.
  raw_syscall(SYS_kill, static_cast<u64>(getpid()), SIGKILL);
  for (;;) {
    raw_syscall(SYS_exit_group, 128 + SIGKILL);
  }
}

}  // namespace selfheal::runtime
