// Every constant the function returns itself, and the value its caller's code asks for, are
// candidates; each is sent through the caller on paper, and the one with the most points wins:
//
//   +8  an exit of the function's own that is reached only without passing the fault; 3 where none
//       is known to lie behind it: a path into abort() is one that all others avoid
//   +3  one that is reached both ways
//   +5  a call of a library's function leads there and nowhere else when it fails; 3 more where it
//       is the call that faulted
//   -6  what is the only other constant (or object) behind the fault: that is success
//       (not of a count, 0 to n: the longer the path the higher; all of it is an answer)
//   not chosen: what its callers end the process for, if a number is left that is no success
//   not chosen: that for which a loop asks the next function; it says that this one has no answer
//   -3  it is a number above 1 that the caller compares with, and its course looks no more like
//       failure than that of others
//   not chosen: the only thing the function returns at all, where that is not negative
//   -6  0 beside other numbers than 1, where that did not tell what success is, nor does the caller
//   -4  goes the same way in the caller as that one
//   +6  negative, where others are not, but for a code that the caller compares with, other than
//       -1; not where others are statuses of HTTP
//   +6  a status of HTTP that is an error, 400 to 599, beside a code of 0 or less: what is negative
//       then says something else (nginx: call again; Apache: not my business)
//   +1  it is one of ours, 500 to 599
//   +3  errno is set on the way there
//   +2  0, reached without passing the fault, where the function knows nothing but 0 and 1
//   +2  its exit is in the cold part
//   +1  an object, and all that is left in it is known
//   +1  it is what the caller's code asks for (caller_use.h)
//   +3  it goes the same way as that, where a branch told it: a sign, NULL, an int that is zero
//   -6  it goes another way, where the sign is asked for: a count; neither where there are statuses
//   +2x the points of its course in the caller (course.h)
//
// A caller that says nothing, or only lets guess, is stood in for by the function's other callers,
// where they agree (other_callers.h): by what they ask for, and, where nothing decides a branch
// here, by the course in one of them.
#include "lib/recover/choice.h"

#include "lib/recover/asked.h"
#include "lib/recover/course.h"

namespace selfheal::recover {
namespace {

constexpr u32 largest_object = 256;  // bytes
constexpr int never = -1000;

struct Candidate {
  const Exit* exit;  // nullptr: the caller's
  u64 value;
  Course course;
  int points;
};

class Choice {
 public:
  Choice(const OwnExits& own, const HealedCall& site, FaultKind kind, const ImageView& image)
      : own_(own), site_(site), image_(image), asked_(asked_of(own, site, kind, image)) {}

  Return run() {
    Return result = {};
    result.in_rax = asked_.value;
    if (asked_.here.reason == ValueReason::unused) {
      result.in_rax = asked_.here;
    } else if (asked_.others_decide) {
      result.in_rax.reason = ValueReason::other_callers;
    }
    result.by_outer_callers = asked_.handed_on;
    if (asked_.use.use == Use::truth_value) {
      return result;
    }
    const Exit::Kind form = form_of_result();
    result.is_object = form == Exit::first_argument;
    if (result.is_object) {
      result.in_rax = {0, ValueReason::own_object, 0};
      result.cleared = own_.extent < largest_object ? own_.extent : largest_object;
    }
    collect(form);
    for (Candidate& candidate : std::span(candidates_).first(count_)) {
      rate(candidate);
    }
    const Candidate* const best = best_candidate(form);
    if (best == nullptr || best->exit == nullptr) {
      return result;
    }
    if (form == Exit::constant) {
      result.in_rax = {best->value, reason_for(*best->exit), error_number_for(*best)};
    } else if (form == Exit::other) {
      result.is_void = asked_.here.reason == ValueReason::unused;
      result.in_rax.reason = ValueReason::own_error;
    }
    leave_as(*best->exit, result);
    result.taken_for_failure = is_taken_for_failure(*best);
    result.has_vector = best->exit->has_vector;
    result.vector = best->exit->vector;
    return result;
  }

 private:
  // Numbers, where there is one; else an object, where the first argument comes back in rax.
  Exit::Kind form_of_result() const {
    Exit::Kind form = Exit::other;
    for (const Exit& exit : own_) {
      if (exit.kind == Exit::constant) {
        return Exit::constant;
      }
      if (exit.kind == Exit::first_argument) {
        form = Exit::first_argument;
      }
    }
    return form;
  }

  // Of an object, and where rax says nothing, only exits that avoid the fault, or that a failed
  // call leads to, and leave something.
  static bool may_be_chosen(const Exit& exit) {
    return exit.kind == Exit::constant || ((exit.avoids_fault || exit.failed_calls != 0) &&
                                           (exit.has_vector || exit.store_count != 0));
  }

  void collect(Exit::Kind form) {
    bool asked_for = false;
    unsigned behind = 0;
    for (const Exit& exit : own_) {
      any_behind_ = any_behind_ || exit.behind_fault;
      if (exit.kind != form || !may_be_chosen(exit)) {
        continue;
      }
      candidates_[count_++] = {&exit, exit.value, {}, 0};
      asked_for = asked_for || exit.value == asked_.value.value;
      any_not_negative_ = any_not_negative_ || static_cast<i64>(exit.value) >= 0;
      any_negative_ = any_negative_ || static_cast<i64>(exit.value) < 0;
      knows_one_ = knows_one_ || exit.value == 1;
      knows_more_ = knows_more_ || exit.value > 1;
      if (exit.behind_fault && exit.failed_calls == 0) {
        ++behind;
        success_ = &candidates_[count_ - 1];
      }
    }
    always_ =
        form == Exit::constant && own_.count == 1 && static_cast<i64>(own_.exits[0].value) >= 0;
    if (always_) {
      success_ = &candidates_[0];
    } else if (behind != 1 ||
               (form == Exit::constant && (success_->exit->avoids_fault || own_.is_count()))) {
      success_ = nullptr;
    }
    if (form == Exit::constant && !asked_for) {
      candidates_[count_++] = {nullptr, asked_.value.value, {}, 0};
    }
    follow(site_.return_addresses, site_.arguments);
    if (asked_.others_decide && !any_decided_) {
      follow({&site_.others->return_address, 1}, {});
    }
  }

  // Sends all candidates through a caller.
  void follow(std::span<const u64> return_addresses, const FrameArguments& arguments) {
    for (Candidate& candidate : std::span(candidates_).first(count_)) {
      candidate.course = candidate.exit == nullptr
                             ? course_of(candidate.value, return_addresses, image_)
                             : course_of(*candidate.exit, arguments, return_addresses, image_);
      any_decided_ = any_decided_ || candidate.course.decided;
    }
    asked_for_ = course_of(asked_.value.value, return_addresses, image_);
  }

  // The one with the most points. Where its callers end the process for a number, another one that
  // is as little a success: BIND asserts that a name is found, or is missing by one of two codes.
  const Candidate* best_candidate(Exit::Kind form) const {
    const Candidate* const first = best_below(nullptr);
    if (form != Exit::constant || first == nullptr || !ends(*first)) {
      return first;
    }
    constexpr unsigned most_asked = 3;
    const Candidate* other = first;
    for (unsigned asked = 0; asked < most_asked; ++asked) {
      other = best_below(other);
      if (other == nullptr) {
        break;
      }
      if (other->value != 0 && other != success_ && !ends(*other)) {
        return other;
      }
    }
    return first;
  }

  // Of those behind `above`, in the order of points and then of the list.
  const Candidate* best_below(const Candidate* above) const {
    const Candidate* best = nullptr;
    for (const Candidate& candidate : std::span(candidates_).first(count_)) {
      const bool below = above == nullptr || candidate.points < above->points ||
                         (candidate.points == above->points && &candidate > above);
      if (below && (best == nullptr || candidate.points > best->points)) {
        best = &candidate;
      }
    }
    return best;
  }

  bool ends(const Candidate& candidate) const {
    return ends_the_process(candidate.value, site_.return_addresses, image_);
  }

  void rate(Candidate& candidate) const {
    candidate.points = 2 * candidate.course.failure + by_itself(candidate) +
                       beside_success(candidate) + as_asked_for(candidate);
  }

  int by_itself(const Candidate& candidate) const {
    const Exit* const exit = candidate.exit;
    if (exit == nullptr) {
      return 0;
    }
    int points = exit->avoids_fault ? (exit->behind_fault || !any_behind_ ? 3 : 8) : 0;
    points += exit->failed_calls != 0 ? 5 : 0;
    points += exit->faulting_call ? 3 : 0;
    points += exit->cold ? 2 : 0;
    if (exit->kind != Exit::constant) {
      return points + (exit->whole ? 1 : 0);
    }
    const auto value = static_cast<i64>(candidate.value);
    if (asked_.not_mine() != 0 && value == asked_.not_mine()) {
      return never;
    }
    const bool special = asked_.value.reason == ValueReason::caller_compares && value != -1 &&
                         candidate.value == asked_.value.value;
    const bool refuses = own_.has_statuses() ? is_error_status(candidate.value)
                                             : value < 0 && any_not_negative_ && !special;
    points += refuses ? 6 : exit->error_number != 0 ? 3 : 0;
    points += refuses && value >= 500 ? 1 : 0;
    points -= is_what_is_expected(candidate) ? 3 : 0;
    return points + (value == 0 && exit->avoids_fault && knows_one_ && !knows_more_ ? 2 : 0);
  }

  // if (numbers(text, …) != 2)
  bool is_what_is_expected(const Candidate& candidate) const {
    return asked_.compared_with() > 1 &&
           static_cast<i64>(candidate.value) == asked_.compared_with() &&
           candidate.course.failure <= asked_for_.failure;
  }

  int beside_success(const Candidate& candidate) const {
    if (success_ == nullptr) {
      return fine_by_custom(candidate) ? -6 : 0;
    }
    if (success_ == &candidate) {
      return always_ ? never : -6;
    }
    return candidate.course.decided && candidate.course.branches == success_->course.branches ? -4
                                                                                              : 0;
  }

  bool fine_by_custom(const Candidate& candidate) const {
    const bool zero_is_no =
        asked_.use.use == Use::null || asked_.use.use == Use::zero_is_error ||
        asked_.use.use == Use::boolean ||
        (asked_.value.reason == ValueReason::caller_compares && asked_.value.value == 0);
    return candidate.exit != nullptr && candidate.exit->kind == Exit::constant &&
           candidate.value == 0 && (knows_more_ || any_negative_) && !zero_is_no;
  }

  int as_asked_for(const Candidate& candidate) const {
    const bool number = candidate.exit == nullptr || candidate.exit->kind == Exit::constant;
    const bool pointer = asked_.value.reason == ValueReason::caller_tests_null;
    // A word compared with 1 is a truth value, unless what it is when all goes well is known.
    const bool truth =
        asked_.value.reason == ValueReason::caller_compares && asked_.value.value == 0;
    if (!number || asked_.value.reason == ValueReason::fallback || (pointer && any_negative_) ||
        (truth && success_ != nullptr) || (asked_.use.use == Use::sign && own_.has_statuses())) {
      return 0;  // ... and a comparison with 300 looks like one with a count
    }
    const bool sided = asked_.use.use == Use::null || asked_.use.use == Use::sign ||
                       asked_.use.use == Use::zero_is_error || asked_.use.use == Use::zero_is_fine;
    const int exactly = candidate.value == asked_.value.value ? 1 : 0;
    if (!sided || !candidate.course.decided) {
      return exactly;
    }
    return candidate.course.branches == asked_for_.branches ? 3 + exactly
           : asked_.use.use == Use::sign                    ? -6
                                                            : 0;
  }

  // By the caller's course, or because numbers like it are never anything else.
  bool is_taken_for_failure(const Candidate& best) const {
    const bool number = best.exit->kind == Exit::constant;
    const bool negative = static_cast<i64>(best.value) < 0 && any_not_negative_;
    return best.course.failure > 0 || best.course.aborts ||
           (number && (negative || best.exit->error_number != 0));
  }

  static ValueReason reason_for(const Exit& exit) {
    return exit.failed_calls != 0 && !exit.avoids_fault ? ValueReason::library_error
                                                        : ValueReason::own_error;
  }

  i32 error_number_for(const Candidate& best) const {
    if (best.exit->error_number != 0) {
      return best.exit->error_number;
    }
    const i32 by_custom = best.value == asked_.value.value ? asked_.value.error_number : 0;
    return by_custom != 0 && best.exit->library_error != 0 ? best.exit->library_error : by_custom;
  }

  const OwnExits& own_;
  const HealedCall& site_;
  const ImageView& image_;
  const Asked asked_;
  Candidate candidates_[max_exits + 1];
  unsigned count_ = 0;
  const Candidate* success_ = nullptr;  // what the function returns when all goes well
  bool any_decided_ = false;            // by a candidate, in a caller
  bool any_not_negative_ = false;
  bool any_negative_ = false;
  bool always_ = false;      // it returns nothing else
  bool any_behind_ = false;  // an exit lies behind the fault
  bool knows_one_ = false;
  bool knows_more_ = false;  // than 0 and 1
  Course asked_for_ = {};    // of the value that the caller's code asks for
};

}  // namespace

void leave_as(const Exit& exit, Return& result) {
  result.has_second = exit.has_second;
  result.second = exit.second;
  result.store_count = exit.store_count;
  for (unsigned i = 0; i < exit.store_count; ++i) {
    result.stores[i] = exit.stores[i];
  }
}

Return choose_return(const OwnExits& own, const HealedCall& site, FaultKind kind,
                     const ImageView& image) {
  return Choice(own, site, kind, image).run();
}

}  // namespace selfheal::recover
