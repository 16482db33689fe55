#include "lib/recover/recursion.h"

#include "lib/recover/return_value.h"

namespace selfheal::recover {
namespace {

// A tenth of a second; a stack of 8 MiB has 170,000 frames of the least size compilers make.
constexpr u64 most_frames = 1 << 21;
// Frames of a mebibyte each leave room for few.
constexpr u64 least_activations = 3;
constexpr unsigned most_outwards = 64;

bool may_be_blamed(u64 address, const ImageView& image) {
  image::Module module;
  return image.find_module(image.context, address, module) && module.executable(address) &&
         module.id.kind != ModuleIdKind::none && !image.is_system(image.context, module);
}

// How well the error return of a function would be understood where it is called.
unsigned understood(u64 returns_to, const ImageView& image) {
  const u64 addresses[] = {returns_to};
  switch (infer_return_value(addresses, FaultKind::stack_exhaustion, image).reason) {
    case ValueReason::caller_compares:
    case ValueReason::caller_tests_sign:
    case ValueReason::caller_tests_null:
    case ValueReason::caller_tests_int:
      return 2;
    case ValueReason::unused:
      return 1;
    default:
      return 0;
  }
}

}  // namespace

void RecursionSearch::begin() {
  start_sp_ = end_sp_ = frames_ = 0;
  count_ = 0;
  sites_.clear();
}

void RecursionSearch::collect(const Registers& start, const StackBounds& bounds) {
  bounds_ = bounds;
  start_sp_ = end_sp_ = start.gpr[rsp];
  Frame frame{start, 0xffff, true};
  Frame outer{};
  while (frames_ < most_frames && step(frame, bounds, outer, &sites_)) {
    if (const CallSite* site = sites_.find(frame.lookup_address())) {
      note(frame, site->part, outer.registers.rip);
    }
    frame = outer;
    end_sp_ = frame.registers.gpr[rsp];
    ++frames_;
  }
}

// When all places are taken, what was met least gives way: that is never the recursion.
RecursionSearch::Met& RecursionSearch::met(u64 function) {
  Met* least = nullptr;
  for (unsigned i = 0; i < count_; ++i) {
    if (met_[i].function == function) {
      return met_[i];
    }
    least = least == nullptr || met_[i].count < least->count ? &met_[i] : least;
  }
  Met& place = count_ < max_met ? met_[count_++] : *least;
  place = {};
  place.function = function;
  place.first = frames_;
  return place;
}

void RecursionSearch::note(const Frame& frame, u64 function, u64 caller) {
  Met& place = met(function);
  const u64 sp = frame.registers.gpr[rsp];
  if (place.count == 0) {
    place.first_sp = sp;
  } else if (sp - place.last_sp > place.stride) {
    place.stride = sp - place.last_sp;
  }
  ++place.count;
  if (place.count <= 2) {
    place.returns_to = caller;
  }
  place.last = frames_;
  place.last_sp = sp;
  place.outermost = frame;
}

// A function's split-off part was met as one of its own.
void RecursionSearch::merge_parts(const ImageView& image) {
  for (unsigned i = 0; i < count_; ++i) {
    image::Module module;
    image::Function owner;
    bool cold = false;
    const u64 address = met_[i].outermost.lookup_address();
    if (image.find_module(image.context, address, module) &&
        image.find_owner(image.context, module, address, owner, cold)) {
      met_[i].function = owner.start;
    }
    for (unsigned k = 0; k < i; ++k) {
      if (met_[k].function != met_[i].function) {
        continue;
      }
      Met& into = met_[k];
      const Met& part = met_[i];
      into.count += part.count;
      if (part.first < into.first) {
        into.first = part.first;
        into.first_sp = part.first_sp;
      }
      if (part.last > into.last) {
        into.last = part.last;
        into.last_sp = part.last_sp;
        into.outermost = part.outermost;
      }
      into.stride = part.stride > into.stride ? part.stride : into.stride;
      met_[i--] = met_[--count_];
      break;
    }
  }
}

// The function met most often of those that take up most of the stack.
const RecursionSearch::Met* RecursionSearch::most_met() const {
  const Met* most = nullptr;
  for (unsigned i = 0; i < count_; ++i) {
    const Met& candidate = met_[i];
    if (candidate.count >= least_activations && candidate.span() >= (end_sp_ - start_sp_) / 2 &&
        (most == nullptr || candidate.count > most->count)) {
      most = &candidate;
    }
  }
  return most;
}

bool RecursionSearch::in_cycle(const Met& other, const Met& most) const {
  return &other == &most || (other.first < most.last && other.last > most.first);
}

const RecursionSearch::Met* RecursionSearch::blamed_of(const Met& most,
                                                       const ImageView& image) const {
  const Met* best = nullptr;
  unsigned best_understood = 0;
  for (unsigned i = 0; i < count_; ++i) {
    const Met& candidate = met_[i];
    if (candidate.count < least_activations || !in_cycle(candidate, most) ||
        !may_be_blamed(candidate.function, image)) {
      continue;
    }
    // The ends of the stack may cut the cycle short for one of its functions.
    const bool fewer = best != nullptr && candidate.count + 1 < best->count;
    const bool more = best == nullptr || candidate.count > best->count + 1;
    if (fewer) {
      continue;
    }
    const unsigned value = understood(candidate.returns_to, image);
    if (more || value > best_understood ||
        (value == best_understood && candidate.last > best->last)) {
      best = &candidate;
      best_understood = value;
    }
  }
  return best;
}

bool RecursionSearch::blame_outwards(const Met& outermost, const ImageView& image,
                                     Recursion& result) {
  Frame frame = outermost.outermost;
  Frame outer{};
  for (u64 at = outermost.last; at < outermost.last + most_outwards; ++at) {
    if (may_be_blamed(frame.lookup_address(), image)) {
      result.blamed = frame;
      result.blamed_at = at;
      return true;
    }
    if (!step(frame, bounds_, outer, &sites_)) {
      break;
    }
    frame = outer;
  }
  return false;
}

u64 RecursionSearch::outermost_entry(u64 function) {
  for (unsigned i = 0; i < count_; ++i) {
    Frame caller{};
    if (met_[i].function == function && met_[i].count > 1 &&
        step(met_[i].outermost, bounds_, caller, &sites_)) {
      return caller.registers.gpr[rsp] - sizeof(u64);
    }
  }
  return 0;
}

Recursion RecursionSearch::conclude(const ImageView& image) {
  Recursion result{};
  merge_parts(image);
  const Met* most = most_met();
  if (most == nullptr) {
    return result;
  }
  const Met* outermost = most;
  for (unsigned i = 0; i < count_; ++i) {
    if (in_cycle(met_[i], *most)) {
      ++result.functions;
      outermost = met_[i].last > outermost->last ? &met_[i] : outermost;
    }
  }
  Frame caller{};
  if (step(outermost->outermost, bounds_, caller, &sites_)) {
    result.outermost_call = caller.registers.rip;
  }
  if (const Met* blamed = blamed_of(*most, image)) {
    result.stride = blamed->stride;
    result.blamed = blamed->outermost;
    result.blamed_at = blamed->last;
    result.found = true;
  } else {
    result.found = blame_outwards(*outermost, image, result);
  }
  return result;
}

}  // namespace selfheal::recover
