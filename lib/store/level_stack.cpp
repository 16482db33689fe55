// Levels and the stack of an entry's last fault.
#include "lib/store/levels.h"

namespace selfheal::store {
namespace {

// Same function call? Offsets are from load biases, so a module's id tells the code.
bool same_place(const CodeRef& a, const RecordModule* a_modules, const CodeRef& b,
                const RecordModule* b_modules) {
  return a.offset == b.offset && a.module != no_module && b.module != no_module &&
         a_modules[a.module].id == b_modules[b.module].id;
}

void forget_level(CatalogEntry& entry, u32 level) {
  for (u32 slot = 0; slot < values_a_level; ++slot) {
    entry.scores[level][slot] = {};
    entry.verdicts[level][slot] = Verdict::none;
  }
  entry.best_values[level] = 0;
  entry.best_reasons[level] = ValueReason::none;
  entry.evidence[level] = Evidence::unknown;
  entry.unfit_levels &= static_cast<u8>(~(1U << level));
}

u32 frame_of(u32 level_frames, u32 blamed, u32 level) {
  u32 left = level_frames;
  for (u32 i = 1; i < level; ++i) {
    left &= left - 1;
  }
  return level == 0 || left == 0 ? blamed : static_cast<u32>(__builtin_ctz(left));
}

}  // namespace

u32 level_count(const CatalogEntry& entry) {
  const u32 outer = static_cast<u32>(__builtin_popcount(entry.level_frames));
  return 1 + (outer < max_levels - 1 ? outer : max_levels - 1);
}

u32 frame_of_level(const CatalogEntry& entry, u32 level) {
  return frame_of(entry.level_frames, entry.blamed_frame, level);
}

void follow_stack(const FaultRecord& record, CatalogEntry& entry) {
  CatalogEntry next = {};
  next.level_frames = record.level_frames;
  const u32 old_levels = level_count(entry);
  const u32 new_levels = level_count(next);
  u32 level = 1;
  while (level < old_levels && level < new_levels &&
         same_place(entry.frames[frame_of_level(entry, level)], entry.modules,
                    record.frames[frame_of(record.level_frames, record.blamed_frame, level)],
                    record.modules)) {
    ++level;
  }
  for (u32 gone = level; gone < max_levels; ++gone) {
    forget_level(entry, gone);
  }
  entry.level_frames = record.level_frames;
  for (u32 known = 0; known < new_levels; ++known) {
    if (record.evidence[known] != Evidence::unknown) {
      entry.evidence[known] = record.evidence[known];
    }
  }
  if (entry.level >= level && entry.level_by_user == 0) {
    entry.level = 0;
    entry.value_slot = 0;
  }
  if (entry.level >= new_levels) {
    entry.level = 0;
  }
}

}  // namespace selfheal::store
