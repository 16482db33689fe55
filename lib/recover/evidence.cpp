#include "lib/recover/evidence.h"

#include <array>

#include "lib/recover/caller_use.h"
#include "lib/recover/course.h"

namespace selfheal::recover {
namespace {

constexpr unsigned most_callers = 6;

const Exit* exit_of(const OwnExits& own, u64 value) {
  for (const Exit& exit : own) {
    if (exit.kind == Exit::constant && exit.value == value) {
      return &exit;
    }
  }
  return nullptr;
}

bool is_system(u64 address, const ImageView& image) {
  image::Module module;
  return image.find_module(image.context, address, module) &&
         image.is_system(image.context, module);
}

// It has one answer only, which is no error.
bool never_fails(const OwnExits& own) {
  return own.count == 1 && !own.exhausted && own.exits[0].kind == Exit::constant &&
         static_cast<i64>(own.exits[0].value) >= 0;
}

// 0 is what a success returns, too, but where the caller's code says otherwise.
bool may_be_success(u64 value, Use use) {
  return value == 0 && use != Use::null && use != Use::zero_is_error;
}

// Of a number in rax, where the function knows it itself.
Evidence of_number(const Return& chosen, const OwnExits& own, Use use, const HealedCall& site,
                   const ImageView& image) {
  const Exit* const exit = exit_of(own, chosen.in_rax.value);
  if (exit == nullptr) {
    return Evidence::guess;
  }
  const Course course = course_of(*exit, site.arguments, site.return_addresses, image);
  const bool away = course.cold || course.aborts;
  if (own.is_truth_value()) {
    return away || course.failure > 0 ? Evidence::own_error : Evidence::yes_or_no;
  }
  // A success returns soon, too: that alone says little of 0.
  constexpr int clear = 3;
  const bool fine = may_be_success(exit->value, use);
  const bool refused = away || course.failure >= (fine ? clear : 1);
  return refused || (exit->avoids_fault && !fine) ? Evidence::own_error : Evidence::guess;
}

// Index of main's frame, or that of what its thread began with: the outermost one of the
// application's, which the system called. _start, at the very end, is another matter. ~0: not seen.
unsigned outermost(std::span<const Frame> frames, const ImageView& image) {
  const auto in_system = [&](unsigned i) { return is_system(frames[i].lookup_address(), image); };
  unsigned end = static_cast<unsigned>(frames.size());
  if (end > 2 && !in_system(end - 1) && in_system(end - 2)) {
    --end;
  }
  unsigned i = end;
  while (i != 0 && in_system(i - 1)) {
    --i;
  }
  return i != 0 && i != end ? i - 1 : ~0U;
}

}  // namespace

Evidence evidence_of(const OwnExits& own, const HealedCall& site, FaultKind kind,
                     const ImageView& image) {
  if (site.return_addresses.empty()) {
    return Evidence::unknown;
  }
  if (is_system(site.return_addresses[0] - 1, image)) {
    return Evidence::library;
  }
  const Return chosen = choose_return(own, site, kind, image);
  const CallerUse use = use_by_callers(site.return_addresses, image);
  if (chosen.store_count != 0 && (chosen.is_void || chosen.is_object)) {
    return Evidence::own_error;
  }
  if (use.use == Use::unused) {
    return Evidence::nobody;
  }
  if (never_fails(own)) {
    return Evidence::granted;
  }
  switch (chosen.in_rax.reason) {
    case ValueReason::own_error:
      return of_number(chosen, own, use.use, site, image);
    case ValueReason::own_object:
      return Evidence::own_error;
    case ValueReason::truth_value:
      return Evidence::yes_or_no;
    case ValueReason::caller_compares:
    case ValueReason::caller_tests_sign:
    case ValueReason::caller_tests_null:
      return Evidence::asked;
    case ValueReason::fallback:
      return use.use == Use::trusted ? Evidence::granted : Evidence::guess;
    default:
      return Evidence::guess;
  }
}

void weigh_levels(FaultRecord& record, std::span<const Frame> frames, const ImageView& image) {
  const unsigned last = outermost(frames, image);
  const unsigned count = static_cast<unsigned>(frames.size());
  for_each_level(record, count, [&](unsigned level, unsigned i) {
    Evidence& evidence = record.evidence[level];
    if (level != 0 && i + 1 == last) {
      evidence = Evidence::outermost;
      return;
    }
    std::array<u64, most_callers> callers{};
    unsigned known = 0;
    for (unsigned k = i + 1; k < count && known < most_callers; ++k) {
      callers[known++] = frames[k].registers.rip;
    }
    image::Module module;
    image::Function function;
    OwnExits own;
    if (find_owner(image, frames[i].lookup_address(), module, function) &&
        find_own_exits(function, frames[i].registers.rip, image, own)) {
      evidence = evidence_of(own, {std::span(callers).first(known), {}}, record.fault.kind, image);
    }
  });
}

}  // namespace selfheal::recover
