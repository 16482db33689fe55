#include "lib/recover/asked.h"

#include "lib/recover/caller_use.h"
#include "lib/recover/codes.h"

namespace selfheal::recover {
namespace {

// What the caller does leaves it open, or would have an answer taken for granted that the function
// never gives; somebody who guesses then may well let a wrong password pass.
//
//   if (check(password) && ready)      check answers 1 or 0: 0, not -1, which would be a yes
//   if (handler(r) == NGX_DECLINED)    handler returns 0 and 500, and is no such one: -1
CallerUse in_view_of(const CallerUse& use, const OwnExits& own) {
  if ((use.use == Use::returned || (use.use == Use::zero_is_fine && use.constant == 0)) &&
      own.is_truth_value()) {
    return {Use::truth_value, 0};
  }
  return use.use == Use::compared && use.constant < -1 && own.speaks_against(use.constant)
             ? CallerUse{Use::returned, 0}
             : use;
}

// Whether the other callers know better than one that does this. Where it is the function that
// answers 1 or 0, one that might be a yes is to be a failure for certain.
bool stand_in(const OtherCallers* others, const CallerUse& use) {
  if (others == nullptr || !others->decide()) {
    return false;
  }
  switch (use.use) {
    case Use::unknown:
    case Use::unused:
    case Use::returned:
    case Use::trusted:
      return true;
    case Use::zero_is_fine:
      return use.constant == 0;
    case Use::truth_value:
      return others->use.use == Use::zero_is_fine && others->agree > 1 && others->against == 0;
    default:
      return false;
  }
}

// Another number than -1, where that is none of an enumeration.
void ask_for_a_code(Asked& asked, const OwnExits& own, const HealedCall& site,
                    const ImageView& image) {
  const auto callers = asked.others_decide ? std::span<const u64>(&site.others->return_address, 1)
                                           : site.return_addresses;
  const u64 code = failure_code(own, callers, image);
  if (code != asked.value.value) {
    asked.value.value = code;
    asked.value.error_number = 0;
  }
}

}  // namespace

Asked asked_of(const OwnExits& own, const HealedCall& site, FaultKind kind,
               const ImageView& image) {
  Asked asked = {};
  asked.use = in_view_of(use_by_callers(site.return_addresses, image), own);
  asked.here = value_of(asked.use, kind);
  asked.others_decide = stand_in(site.others, asked.use);
  if (asked.others_decide) {
    asked.use = in_view_of(site.others->use, own);
  }
  asked.value = value_of(asked.use, kind);
  if (asked.use.use == Use::zero_is_fine || asked.compared_with() > 1) {
    ask_for_a_code(asked, own, site, image);
  }
  asked.handed_on = !site.return_addresses.empty() &&
                    find_caller_use(site.return_addresses[0], image).use == Use::returned;
  return asked;
}

}  // namespace selfheal::recover
