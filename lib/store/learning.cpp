#include "lib/store/learning.h"

#include "lib/store/checksum.h"
#include "lib/store/sanitize.h"
#include "lib/store/shared.h"

namespace selfheal::store {
namespace {

constexpr const char* remedy = "; remove it, and a new one is made";

u64 fixed_checksum(const LearningHeader& header) {
  return checksum(&header, offsetof(LearningHeader, checksum));
}

template <u64 size>
void end_text(char (&text)[size]) {
  text[size - 1] = '\0';
}

}  // namespace

bool Learning::attach(void* memory, u64 size, const char* name, Error& error) {
  *this = {};
  LearningHeader header;
  if (size != learning_size) {
    error.at(name, size) << "the file should end elsewhere" << remedy;
    return false;
  }
  copy_words(&header, memory, sizeof header);
  if (header.magic != learning_magic || header.version != learning_version ||
      header.cell_size != sizeof(WatchedCell) || header.cell_count != max_watched ||
      header.checksum != fixed_checksum(header)) {
    error.at(name, 0) << "the header is damaged, or another version's" << remedy;
    return false;
  }
  header_ = static_cast<LearningHeader*>(memory);
  cells_ = pointer_to<WatchedCell>(address_of(memory) + sizeof(LearningHeader));
  return true;
}

void Learning::format(LearningHeader& header, u64 now_ns) {
  header = {};
  header.magic = learning_magic;
  header.version = learning_version;
  header.cell_size = sizeof(WatchedCell);
  header.cell_count = max_watched;
  header.created_ns = now_ns;
  header.checksum = fixed_checksum(header);
}

bool Learning::watches_all() const {
  return mapped() && load(header_->watch_all) != 0;
}

bool Learning::request(u32 index, WatchRequest& out) const {
  if (!mapped() || index >= max_watch_requests || index >= load(header_->requests)) {
    return false;
  }
  copy_words(&out, &header_->request[index], sizeof out);
  end_text(out.module);
  end_text(out.function);
  return true;
}

bool Learning::read(u32 index, WatchedCell& out) const {
  constexpr u64 ready = 2;
  if (!mapped() || index >= max_watched || load(cells_[index].state) != ready) {
    return false;
  }
  copy_words(&out, &cells_[index], sizeof out);
  sanitize(out.module);
  for (SeenValue& seen : out.values) {
    if (seen.state != ready) {
      seen = {};
    }
  }
  return out.module.id.kind != ModuleIdKind::none;
}

u64 Learning::left_out() const {
  return mapped() ? load(header_->left_out) : 0;
}

void Learning::set_period(Period period) const {
  __atomic_store_n(&header_->period, static_cast<u64>(period), __ATOMIC_RELEASE);
}

void Learning::set_requests(std::span<const WatchRequest> requests, bool all) const {
  __atomic_store_n(&header_->requests, 0, __ATOMIC_RELEASE);
  u64 count = 0;
  for (; count < requests.size() && count < max_watch_requests; ++count) {
    copy_words(&header_->request[count], &requests[count], sizeof(WatchRequest));
  }
  __atomic_store_n(&header_->watch_all, all ? 1 : 0, __ATOMIC_RELEASE);
  __atomic_store_n(&header_->left_out, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&header_->requests, count, __ATOMIC_RELEASE);
}

// A function keeps its cell: processes know it by its number.
void Learning::forget_counts() const {
  for (u32 i = 0; i < max_watched; ++i) {
    WatchedCell& cell = cells_[i];
    for (SeenValue& seen : cell.values) {
      __atomic_store_n(&seen.state, 0, __ATOMIC_RELEASE);
      __atomic_store_n(&seen.good, 0, __ATOMIC_RELAXED);
      __atomic_store_n(&seen.bad, 0, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&cell.other_good, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&cell.other_bad, 0, __ATOMIC_RELAXED);
  }
}

const char* name_of(Period period) {
  switch (period) {
    case Period::off:
      return "off";
    case Period::good:
      return "good";
    case Period::bad:
      return "bad";
  }
  return "unknown";
}

}  // namespace selfheal::store
