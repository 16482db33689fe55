#include "lib/runtime/moved_candidates.h"

#include <algorithm>
#include <iterator>

#include "lib/patch/patcher.h"
#include "lib/runtime/runtime.h"
#include "lib/store/promote.h"
#include "lib/store/trials.h"

namespace selfheal::runtime {
namespace {

struct Moved {
  u64 id;  // of the region
  store::Candidate candidate;
  store::Escalation escalation;
  bool nothing_helps;
  bool operator==(const Moved&) const = default;
};

store::Escalation allowed_escalation(const store::CatalogEntry& entry) {
  const bool all = runtime.options.escalate == options::Escalate::yes;
  return store::escalation_of(entry, all ? store::EscalateFrom::all : store::EscalateFrom::unsure);
}

// Those that are not where the catalog has them.
struct Table {
  Moved moved[patch::max_regions];
  u32 count;

  bool operator==(const Table& other) const {
    return std::equal(moved, moved + count, other.moved, other.moved + other.count);
  }
};

constinit Table table{};
constinit u64 evidence_seen = 0;
constinit u64 generation_seen = 0;

void look_at(const store::CatalogEntry& entry, Table& next) {
  static constinit store::CatalogEntry copy{};  // too large for a small stack
  copy = entry;
  store::add_tallies(runtime.store.journal, copy);
  const bool moved = store::move_on(copy);
  const store::Escalation escalation = allowed_escalation(copy);
  const bool nothing_helps = store::nothing_helps(copy);
  const bool news = moved || nothing_helps != store::nothing_helps(entry) ||
                    !(escalation == allowed_escalation(entry));
  if (news && next.count < std::size(next.moved)) {
    next.moved[next.count++] = {copy.id, store::in_use(copy), escalation, nothing_helps};
  }
}

const Moved* find(u64 id) {
  const Moved* const begin = table.moved;
  const Moved* const end = begin + table.count;
  const Moved* const found =
      std::find_if(begin, end, [id](const Moved& moved) { return moved.id == id; });
  return found != end ? found : nullptr;
}

}  // namespace

bool move_candidates(bool ours) {
  const u64 evidence = store::evidence_in(runtime.store.journal);
  const u64 generation = runtime.store.catalog.generation();
  if (ours ? table.count == 0 : evidence == evidence_seen && generation == generation_seen) {
    return false;
  }
  evidence_seen = evidence;
  generation_seen = generation;
  static constinit Table next{};
  next.count = 0;
  if (!ours) {
    for (const store::CatalogEntry& entry : runtime.store.catalog.entries()) {
      look_at(entry, next);
    }
  }
  const bool changed = !(next == table);
  table = next;
  return changed;
}

store::Candidate moved_candidate_of(const store::CatalogEntry& entry) {
  const Moved* const moved = find(entry.id);
  return moved != nullptr ? moved->candidate : store::in_use(entry);
}

store::Escalation moved_escalation_of(const store::CatalogEntry& entry) {
  const Moved* const moved = find(entry.id);
  return moved != nullptr ? moved->escalation : allowed_escalation(entry);
}

bool nothing_helps_now(const store::CatalogEntry& entry) {
  const Moved* const moved = find(entry.id);
  return moved != nullptr ? moved->nothing_helps : store::nothing_helps(entry);
}

}  // namespace selfheal::runtime
