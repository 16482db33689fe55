#include "probes/heap/sites.h"

namespace selfheal::probes::heap {
namespace {

struct Cell {
  std::atomic<u64> site;
  std::atomic<u64> words;  // padding : 32 | before : 1 | guard : 1 | remedies : 8
  std::atomic<u64> owner;
  bool renewed;
};

constexpr u64 cells = 1024;
constexpr u64 most_rules = cells / 2;
constinit Cell table[cells] = {};
constinit std::atomic<u32> used{0};

Cell* find(u64 site) {
  for (u64 i = (site * 0x9e3779b97f4a7c15) >> 54;; i = (i + 1) % cells) {
    const u64 there = table[i].site.load(std::memory_order_acquire);
    if (there == site || there == 0) {
      return &table[i];
    }
  }
}

u64 pack(const SiteRule& rule) {
  return u64{rule.padding} << 32 | u64{rule.before} << 9 | u64{rule.guard} << 8 | rule.remedies;
}

}  // namespace

void begin_rules() {
  for (Cell& cell : table) {
    cell.renewed = false;
  }
}

void add_rule(u64 site, const SiteRule& rule) {
  Cell* cell = find(site);
  if (cell->site.load(std::memory_order_relaxed) == 0) {
    if (site == 0 || used.load(std::memory_order_relaxed) == most_rules) {
      return;
    }
    used.fetch_add(1, std::memory_order_relaxed);
  }
  // Two entries may name one site: what either asks for is done.
  u64 words = pack(rule);
  if (cell->renewed) {
    const u64 before = cell->words.load(std::memory_order_relaxed);
    const u32 padding = static_cast<u32>(before >> 32);
    words = (words | before) & 0xffff'ffff;
    words |= u64{padding > rule.padding ? padding : rule.padding} << 32;
  }
  cell->owner.store(rule.owner, std::memory_order_relaxed);
  cell->words.store(words, std::memory_order_release);
  cell->site.store(site, std::memory_order_release);
  cell->renewed = true;
}

void end_rules() {
  for (Cell& cell : table) {
    if (!cell.renewed) {
      cell.words.store(0, std::memory_order_release);
    }
  }
}

SiteRule rule_of(u64 site) {
  if (used.load(std::memory_order_acquire) == 0) {
    return {};
  }
  const Cell* cell = find(site);
  if (cell->site.load(std::memory_order_acquire) != site) {
    return {};
  }
  const u64 words = cell->words.load(std::memory_order_acquire);
  return {static_cast<u8>(words), ((words >> 8) & 1) != 0, ((words >> 9) & 1) != 0,
          static_cast<u32>(words >> 32), cell->owner.load(std::memory_order_relaxed)};
}

}  // namespace selfheal::probes::heap
