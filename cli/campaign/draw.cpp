#include "cli/campaign/draw.h"

#include <algorithm>
#include <array>
#include <fmt/core.h>
#include <tuple>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace selfheal::cli::campaign {
namespace {

struct Ranked {
  u64 rank;
  Candidate candidate;
};

u64 rank_of(const Drawing& drawing, const Binary& binary, u64 address, Kind kind) {
  const std::string key =
      fmt::format("{} {} {:x} {}", drawing.seed, binary.build_id(), address, name_of(kind));
  return XXH64(key.data(), key.size(), 0);
}

Seen seen_at(const Target& target, u64 address) {
  const auto found = target.seen.find(address);
  return found == target.seen.end() ? Seen::never : found->second;
}

using Queues = std::array<std::vector<Ranked>, 3>;  // by position

// Places that only requests come by go first: a fault in the others keeps the server from starting.
bool goes_first(const Ranked& a, const Ranked& b) {
  return std::make_tuple(a.candidate.seen != Seen::serving, a.rank) <
         std::make_tuple(b.candidate.seen != Seen::serving, b.rank);
}

// Of all places of a function that a kind fits, the one that goes first.
void rank_target(const Target& target, const Drawing& drawing, Queues& queues) {
  using Key = std::tuple<u64, Position, Kind>;
  std::map<Key, Ranked> best;
  for (const Place& place : target.places) {
    const Seen seen = seen_at(target, place.address);
    if (!drawing.all_functions && seen == Seen::never) {
      continue;
    }
    for (const Kind kind : drawing.kinds) {
      if (!fits(kind, place)) {
        continue;
      }
      const Ranked next{rank_of(drawing, *target.binary, place.address, kind),
                        {&target, place, kind, seen}};
      const auto [at, fresh] = best.try_emplace({place.function, place.position, kind}, next);
      if (!fresh && goes_first(next, at->second)) {
        at->second = next;
      }
    }
  }
  for (auto& [key, ranked] : best) {
    queues[static_cast<size_t>(std::get<1>(key))].push_back(ranked);
  }
}

}  // namespace

std::string Candidate::id() const {
  return fmt::format("{}+{:#x}:{}", target->binary->name(), place.address, name_of(kind));
}

std::vector<Candidate> draw(const std::vector<Target>& targets, const Drawing& drawing) {
  Queues queues;
  for (const Target& target : targets) {
    rank_target(target, drawing, queues);
  }
  size_t left = 0;
  for (std::vector<Ranked>& queue : queues) {
    std::sort(queue.begin(), queue.end(),
              [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
    left += queue.size();
  }
  constexpr std::array turns = {Position::entry, Position::middle, Position::entry, Position::jump};
  std::array<size_t, 3> next{};
  std::vector<Candidate> order;
  for (size_t turn = 0; order.size() < left; ++turn) {
    // Those that keep the server from starting go along, and are nobody's turn.
    const auto& queue = queues[static_cast<size_t>(turns[turn % turns.size()])];
    size_t& at = next[static_cast<size_t>(turns[turn % turns.size()])];
    bool taken = false;
    while (!taken && at < queue.size()) {
      order.push_back(queue[at++].candidate);
      taken = order.back().seen != Seen::start_up;
    }
  }
  return order;
}

Result<Candidate> find_candidate(const std::vector<Target>& targets, const std::string& id) {
  for (const Target& target : targets) {
    for (const Place& place : target.places) {
      for (const Kind kind : all_kinds) {
        const Candidate candidate{&target, place, kind, seen_at(target, place.address)};
        if (fits(kind, place) && candidate.id() == id) {
          return candidate;
        }
      }
    }
  }
  return fail(fmt::format("no place for the fault '{}'; ids are those of the report: "
                          "MODULE+0xADDRESS:KIND",
                          id),
              exit_usage);
}

}  // namespace selfheal::cli::campaign
