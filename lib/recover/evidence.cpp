#include "lib/recover/evidence.h"

#include <algorithm>
#include <array>

#include "lib/recover/caller_use.h"
#include "lib/recover/catching.h"
#include "lib/recover/course.h"
#include "lib/recover/throwing.h"

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

// It has one answer only, which is no error.
bool never_fails(const OwnExits& own) {
  return own.count == 1 && !own.exhausted && own.exits[0].kind == Exit::constant &&
         static_cast<i64>(own.exits[0].value) >= 0;
}

// Its callers go another way with `value` than with the only one that it ever returns.
bool is_told_apart(u64 value, const OwnExits& own, const HealedCall& site, const ImageView& image) {
  const Course there = course_of(value, site.return_addresses, image);
  const Course usual = course_of(own.exits[0].value, site.return_addresses, image);
  return there.decided && usual.decided && there.branches != usual.branches;
}

// 0 is what a success returns, too, but where the caller's code says otherwise.
bool may_be_success(u64 value, Use use) {
  return value == 0 && use != Use::null && use != Use::zero_is_error;
}

// A negative constant beside others: a failure by custom, though no way leads there past the fault.
bool is_negative_beside_others(u64 value, const OwnExits& own) {
  const auto negative = [](u64 number) { return static_cast<i64>(number) < 0; };
  return negative(value) && std::any_of(own.begin(), own.end(), [&](const Exit& exit) {
           return exit.kind == Exit::constant && !negative(exit.value);
         });
}

// Of a number in rax, where the function knows it itself. Further out than the fault, the caller
// has to take it for a failure, and it is to be no success by any custom: nginx's phases are called
// again and again by who gets -1 from them.
Evidence of_number(const Return& chosen, const OwnExits& own, Use use, const HealedCall& site,
                   const ImageView& image, bool faulted) {
  const Exit* const exit = exit_of(own, chosen.in_rax.value);
  if (exit == nullptr) {
    return Evidence::guess;
  }
  const Course course = course_of(*exit, site.arguments, site.return_addresses, image);
  bool refuses = course.cold || course.aborts;
  if (own.is_truth_value()) {
    return refuses || course.failure > 0 ? Evidence::own_error : Evidence::yes_or_no;
  }
  const bool fine = may_be_success(exit->value, use);
  if (faulted) {
    constexpr int clear = 3;  // a success returns soon, too: that alone says little of 0
    refuses |= course.failure >= (fine ? clear : 1) || (exit->avoids_fault && !fine) ||
               is_negative_beside_others(exit->value, own);
  } else {
    refuses |=
        (course.failure > 0 && !fine) || (is_error_status(exit->value) && own.has_statuses());
  }
  return refuses ? Evidence::own_error : Evidence::guess;
}

// What is returned is `chosen`. That a caller tells it apart is enough for the faulting function,
// but no reason to go further out.
Evidence of_return(const Return& chosen, const OwnExits& own, const HealedCall& site,
                   const ImageView& image, bool faulted) {
  const CallerUse use = use_by_callers(site.return_addresses, image);
  if (chosen.store_count != 0 && (chosen.is_void || chosen.is_object)) {
    return Evidence::own_error;
  }
  if (use.use == Use::unused) {
    return Evidence::nobody;
  }
  if (never_fails(own)) {
    return faulted && is_told_apart(chosen.in_rax.value, own, site, image) ? Evidence::asked
                                                                           : Evidence::granted;
  }
  switch (chosen.in_rax.reason) {
    case ValueReason::own_error:
      return of_number(chosen, own, use.use, site, image, faulted);
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

}  // namespace

Evidence evidence_of(const OwnExits& own, const HealedCall& site, FaultKind kind,
                     const ImageView& image, bool faulted) {
  if (site.return_addresses.empty()) {
    return Evidence::unknown;
  }
  if (in_system(image, site.return_addresses[0] - 1)) {
    return Evidence::library;
  }
  Return chosen = choose_return(own, site, kind, image);
  throw_instead(own, site.stack, image, chosen);
  if (chosen.thrower != 0) {
    return Evidence::throws;
  }
  const Evidence evidence = of_return(chosen, own, site, image, faulted);
  return can_fail(evidence) && ends_the_process(chosen.in_rax.value, site.return_addresses, image)
             ? Evidence::outermost
             : evidence;
}

void weigh_levels(FaultRecord& record, std::span<const Frame> frames, const ImageView& image) {
  std::array<u64, max_frames> places{};
  const unsigned count =
      static_cast<unsigned>(frames.size() < max_frames ? frames.size() : max_frames);
  for (unsigned i = 0; i < count; ++i) {
    places[i] = frames[i].lookup_address();
  }
  const unsigned last = outermost(std::span(places).first(count), image);
  for_each_level(record, count, [&](unsigned level, unsigned i) {
    Evidence& evidence = record.evidence[level];
    if (level != 0 && i + 1 == last) {
      evidence = Evidence::outermost;
      return;
    }
    std::array<u64, max_frames> stack{};
    unsigned known = 0;
    for (unsigned k = i + 1; k < count; ++k) {
      stack[known++] = frames[k].registers.rip;
    }
    const auto callers = std::span<const u64>(stack).first(known);
    image::Module module;
    image::Function function;
    OwnExits own;
    if (find_owner(image, frames[i].lookup_address(), module, function) &&
        find_own_exits(function, frames[i].registers.rip, image, own)) {
      const HealedCall call{
          callers.first(known < most_callers ? known : most_callers), {}, nullptr, callers};
      evidence = evidence_of(own, call, record.fault.kind, image, level == 0);
    }
  });
}

}  // namespace selfheal::recover
