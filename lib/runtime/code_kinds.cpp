#include "lib/runtime/code_kinds.h"

#include <atomic>
#include <fcntl.h>
#include <sys/syscall.h>

#include "lib/base/raw_syscall.h"
#include "lib/image/module.h"
#include "lib/runtime/memory_map.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

using emulator::CodeKind;

// Module text that is stable no more. Entries are only added; a free one has end 0.
struct Range {
  std::atomic<u64> begin;
  std::atomic<u64> end;
};
constinit Range disturbed[32] = {};
constinit std::atomic<unsigned> disturbed_count{0};
constinit std::atomic<bool> all_disturbed{false};  // more than that

bool is_disturbed(u64 address) {
  if (all_disturbed.load(std::memory_order_acquire)) {
    return true;
  }
  for (const Range& range : disturbed) {
    const u64 end = range.end.load(std::memory_order_acquire);
    if (address < end && address >= range.begin.load(std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void disturb(u64 begin, u64 end) {
  if (is_disturbed(begin) && is_disturbed(end - 1)) {
    return;
  }
  const unsigned index = disturbed_count.fetch_add(1, std::memory_order_relaxed);
  if (index >= std::size(disturbed)) {
    all_disturbed.store(true, std::memory_order_release);
    return;
  }
  disturbed[index].begin.store(begin, std::memory_order_relaxed);
  disturbed[index].end.store(end, std::memory_order_release);
}

// Does [begin, end) hold text of a module? Looked for from both ends: what is changed at once lies
// in one module, or in several that follow each other.
bool holds_text(u64 begin, u64 end) {
  image::Module module;
  for (u64 at = begin; at < end && image::locate_module(at, module); at = module.end) {
    for (unsigned i = 0; i < module.segment_count; ++i) {
      const image::Segment& segment = module.segments[i];
      if ((segment.flags & PF_X) != 0 && begin < segment.end && page_down(segment.start) < end) {
        return true;
      }
    }
  }
  return false;
}

// Executable memory that is no module's. Only read and written by the one thread that asks.
struct Known {
  u64 begin;
  u64 end;
  u64 changes;  // the value of `changes` from before it was looked up
};
constinit Known known[32] = {};
constinit unsigned next_known = 0;
constinit std::atomic<u64> changes{1};
constinit std::atomic<bool> any_known{false};  // or about to be

bool may_read_map() {
  using probes::Call;
  return probes::allowed(Call::open) && probes::allowed(Call::pread) &&
         probes::allowed(Call::close);
}

bool is_executable(u64 address) {
  const u64 now = changes.load(std::memory_order_acquire);
  for (const Known& range : known) {
    if (address - range.begin < range.end - range.begin && range.changes == now) {
      return true;
    }
  }
  any_known.store(true, std::memory_order_seq_cst);
  Mapping mapping;
  if (!may_read_map() || !find_mapping(address, mapping) || !mapping.executable) {
    return false;
  }
  known[next_known++ % std::size(known)] = {mapping.begin, mapping.end, now};
  return true;
}

}  // namespace

bool is_fixed_text(u64 address) {
  image::Module module;
  if (!image::locate_module(address, module)) {
    return false;
  }
  bool fixed = false;
  for (unsigned i = 0; i < module.segment_count; ++i) {
    const image::Segment& segment = module.segments[i];
    if (segment.holds(address, 1)) {
      fixed = (segment.flags & (PF_X | PF_W)) == PF_X;
    }
  }
  return fixed;
}

CodeKind code_kind(u64 address) {
  if (is_fixed_text(address) && !is_disturbed(address)) {
    return CodeKind::stable;
  }
  return is_executable(address) ? CodeKind::may_change : CodeKind::none;
}

bool is_data(u64 address) {
  Mapping mapping;
  return may_read_map() && find_mapping(address, mapping) && !mapping.executable;
}

void protection_changed(u64 begin, u64 end) {
  if (!emulator::started() || begin >= end) {
    return;
  }
  const bool text = holds_text(begin, end) || holds_text(end - 1, end);
  if (text) {
    disturb(begin, end);
  }
  if (!text && !any_known.load(std::memory_order_seq_cst)) {
    return;
  }
  changes.fetch_add(1, std::memory_order_acq_rel);
  if (text) {
    emulator::forget_code(begin, end);
  } else {
    emulator::code_moved();
  }
}

}  // namespace selfheal::runtime
