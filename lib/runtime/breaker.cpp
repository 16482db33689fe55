#include "lib/runtime/breaker.h"

#include <sys/mman.h>

#include <atomic>

#include "lib/base/raw_syscall.h"
#include "lib/runtime/regions.h"

namespace selfheal::runtime {

// Pages of distinct fault addresses a site may show before it looks like probing. A wild pointer that
// comes from uninitialised memory varies too, so the limit leaves room for bugs.
constexpr u32 max_distinct_pages = 32;
constexpr u64 minute_ns = 60'000'000'000ULL;

struct Breaker::Site {
  std::atomic<u64> window_start;
  std::atomic<u64> heals;
  std::atomic<u32> probed;
  u32 reserved;
  std::atomic<u64> pages[max_distinct_pages];
};

bool Breaker::map() {
  const long at = raw_syscall(SYS_mmap, 0, page_up(sizeof(Site) * max_regions), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, ~0ULL, 0);
  if (syscall_failed(at)) {
    return false;
  }
  sites_ = pointer_to<Site>(static_cast<u64>(at));
  return true;
}

BreakerVerdict Breaker::ask(u32 index, u64 now_ns, u64 address, u64 per_minute) {
  if (sites_ == nullptr || index >= max_regions) {
    return BreakerVerdict::rate;
  }
  Site& site = sites_[index];
  if (address != 0) {
    const u64 page = page_down(address) | 1;  // never 0, which marks a free place
    bool known = false;
    for (std::atomic<u64>& place : site.pages) {
      u64 seen = 0;
      if (place.compare_exchange_strong(seen, page) || seen == page) {
        known = true;
        break;
      }
    }
    if (!known) {
      site.probed.store(1);
    }
  }
  if (site.probed.load() != 0) {
    return BreakerVerdict::probing;
  }
  if (per_minute == 0) {
    return BreakerVerdict::allow;
  }
  u64 start = site.window_start.load();
  if (now_ns - start >= minute_ns && site.window_start.compare_exchange_strong(start, now_ns)) {
    site.heals.store(0);
  }
  return site.heals.fetch_add(1) < per_minute ? BreakerVerdict::allow : BreakerVerdict::rate;
}

const char* name_of(BreakerVerdict verdict) {
  switch (verdict) {
    case BreakerVerdict::allow: return "allowed";
    case BreakerVerdict::rate: return "too many heals a minute";
    case BreakerVerdict::probing: return "too many different fault addresses";
  }
  return "unknown";
}

}  // namespace selfheal::runtime
