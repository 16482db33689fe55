// The counting side of learning: built with -mgeneral-regs-only, no libc.
#include "lib/store/learning.h"
#include "lib/store/shared.h"

namespace selfheal::store {
namespace {

enum State : u64 { free_state = 0, claimed = 1, ready = 2 };

// Numbers as people return them, also where an int has left the upper half of rax empty.
bool is_small(u64 value) {
  constexpr i64 small = 65536;
  const auto number = static_cast<i64>(value);
  const i64 as_int = static_cast<i32>(static_cast<u32>(value));
  return (number > -small && number < small) ||
         (value <= 0xffff'ffff && as_int > -small && as_int < small);
}

bool same_module(const RecordModule& a, const RecordModule& b) {
  return a.id == b.id;
}

// Of two that begin with the same value at once, both may get a place: whoever reads adds them up.
SeenValue* place_of(WatchedCell& cell, u64 value) {
  const u32 places = is_small(value) ? values_a_function : large_values;
  for (u32 i = 0; i < places; ++i) {
    SeenValue& seen = cell.values[i];
    const u64 state = load(seen.state);
    if (state == ready && seen.value == value) {
      return &seen;
    }
    if (state == free_state && swap_if(seen.state, free_state, claimed)) {
      seen.value = value;
      __atomic_store_n(&seen.state, ready, __ATOMIC_RELEASE);
      return &seen;
    }
  }
  return nullptr;
}

}  // namespace

Period Learning::period() const {
  const u64 period = mapped() ? load(header_->period) : 0;
  return period <= static_cast<u64>(last_period) ? static_cast<Period>(period) : Period::off;
}

i32 Learning::cell_of(const RecordModule& module, u64 entry_offset, u64 code_hash) const {
  for (u32 i = 0; mapped() && i < max_watched; ++i) {
    WatchedCell& cell = cells_[i];
    u64 state = load(cell.state);
    if (state == free_state && swap_if(cell.state, free_state, claimed)) {
      copy_words(&cell.module, &module, sizeof module);
      cell.entry_offset = entry_offset;
      cell.code_hash = code_hash;
      __atomic_store_n(&cell.state, ready, __ATOMIC_RELEASE);
      return static_cast<i32>(i);
    }
    state = load(cell.state);
    if (state == ready && cell.entry_offset == entry_offset && same_module(cell.module, module)) {
      return static_cast<i32>(i);
    }
  }
  if (mapped()) {
    add(header_->left_out, 1);
  }
  return -1;
}

void Learning::count(i32 index, u64 value) const {
  const Period now = period();
  if (now == Period::off || index < 0 || index >= static_cast<i32>(max_watched)) {
    return;
  }
  WatchedCell& cell = cells_[index];
  SeenValue* const seen = place_of(cell, value);
  if (now == Period::good) {
    add(seen != nullptr ? seen->good : cell.other_good, 1);
  } else {
    add(seen != nullptr ? seen->bad : cell.other_bad, 1);
  }
}

}  // namespace selfheal::store
