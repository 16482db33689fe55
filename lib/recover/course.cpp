// Points, once a branch was decided by the value:
//
//   +4  the way leads into the cold part
//   +3  a text with a word for failure is handed to a function, for the log or for the client
//   +3  errno is set
//   and, when it ends within 24 instructions without another decision that depends on other things:
//   +4  it returns a negative constant
//   +3  it returns another constant but 0 and 1
//   +1  it returns what cannot be told; nothing for 0 and 1, which may be anything
//   +1  if it returns an error constant and calls nothing before
//   +3  it does not return: abort and its like
//
// When what it returns depends on the value (`return rc;`), its caller is asked what that is good
// for, and answers; one point remains for having been returned at once.
#include "lib/recover/course.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "lib/recover/code_walk.h"
#include "lib/recover/comparison.h"
#include "lib/recover/failure_words.h"
#include "lib/recover/imports.h"
#include "lib/recover/never_returns.h"
#include "lib/recover/on_paper.h"
#include "lib/recover/side.h"

namespace selfheal::recover {
namespace {

constexpr unsigned before_decision = 48;  // instructions
constexpr unsigned behind_decision = 24;
constexpr unsigned to_the_end = 128;  // of a function that may empty all registers when it returns
constexpr unsigned most_levels = 4;
constexpr unsigned most_callees = 4;

bool is_exit(std::string_view name) {
  for (const std::string_view exit : {"exit", "_exit", "_Exit", "quick_exit", "abort", "err",
                                      "errx", "verr", "verrx", "__assert_fail"}) {
    if (name == exit) {
      return true;
    }
  }
  return false;
}

class Follower {
 public:
  Follower(u64 value, u64 return_address, const ImageView& image)
      : image_(image), walk_(image, before_decision), start_(return_address) {
    paper_.behind_call(value);
  }

  // Asks up to `count` of the functions that are called behind the decision whether they return.
  void ask_callees(unsigned count) {
    callees_to_ask = count;
    most_behind_ = to_the_end;
    walk_.grant(before_decision + to_the_end);
  }

  void run() {
    u64 at = start_;
    while (walk_.fetch(at)) {
      if (course.decided && ++since_ > most_behind_) {
        return;
      }
      switch (walk_.category()) {
        case ZYDIS_CATEGORY_RET:
          return finish();
        case ZYDIS_CATEGORY_COND_BR:
          if (!branch(at)) {
            return;
          }
          continue;
        case ZYDIS_CATEGORY_UNCOND_BR:
          if (!jump(at)) {
            return;
          }
          continue;
        case ZYDIS_CATEGORY_CALL:
          listen();
          if (course.decided && callees_to_ask != 0 && is_the_end()) {
            dies = true;
            return;
          }
          paper_.call();
          called_ = true;
          break;
        default:
          if (walk_.is(ZYDIS_MNEMONIC_UD2)) {
            course.aborts = true;
            return;
          }
          decide_move();
          paper_.execute(walk_, image_);
          break;
      }
      course.kept = course.kept || paper_.gives_away;
      course.sets_errno = course.sets_errno || (course.decided && paper_.error_number != 0);
      at = walk_.next();
    }
  }

  // What the exit leaves in objects of the caller's frame.
  void leave_behind(const Exit& exit, const FrameArguments& arguments) {
    if (exit.kind != Exit::constant) {
      paper_.behind_call();
    }
    for (unsigned i = 0; i < exit.store_count; ++i) {
      const ExitStore& store = exit.stores[i];
      if (store.based == 0 && arguments.known[store.argument]) {
        paper_.leave(arguments.offset[store.argument] + store.offset, store.size, store.value);
      }
    }
  }

  Course course = {};
  unsigned callees_to_ask = 0;  // that are left
  bool dies = false;            // one of them does not return
  bool returned = false;        // to its caller, with `result`
  Known result;

 private:
  // What it says in the call that it stands before.
  void listen() {
    for (const Gpr gpr : {rdi, rsi, rdx, rcx}) {
      const Known& argument = paper_.reg(gpr);
      course.says_so =
          course.says_so || (course.decided && argument.is_constant() &&
                             speaks_of_failure(image_, static_cast<u64>(argument.number)));
    }
  }

  // The call that it stands before.
  bool is_the_end() {
    --callees_to_ask;
    u64 entry = walk_.target();
    if (const char* const name = imported_callee(image_, walk_, start_); name != nullptr) {
      if (is_exit(name)) {
        return true;
      }
      entry = linked_callee(image_, walk_);
      if (in_system(image_, entry)) {
        return false;  // longjmp() does not return either
      }
    }
    image::Module module;
    image::Function callee;
    return entry != 0 && find_owner(image_, entry, module, callee) && never_returns(image_, callee);
  }

  void note(u64 place, bool taken) {
    course.branches = (course.branches ^ (place * 2 + (taken ? 1 : 0))) * 1099511628211U + 1;
    course.decided = true;
    since_ = 0;
    called_ = false;
    paper_.error_number = 0;
  }

  // By the condition that it stands before.
  void note_kind() {
    const Condition condition = condition_of(walk_.instruction.mnemonic);
    const Known& with = paper_.compared_with();
    const bool number = with.is_constant() && !with.tainted;
    course.asks_sign =
        course.asks_sign || condition == Condition::is_signed || !number || with.number < 0;
    course.knows_codes = course.knows_codes || (number && with.number > 1);
    course.asks_zero = course.asks_zero || (number && with.number == 0);
  }

  void decide_move() {
    const auto category = walk_.category();
    if ((category == ZYDIS_CATEGORY_SETCC || category == ZYDIS_CATEGORY_CMOV) &&
        paper_.flags_are_tainted()) {
      note_kind();
      if (const Truth truth = paper_.condition(walk_); truth != Truth::unknown) {
        const bool had_called = called_;
        note(walk_.next(), truth == Truth::yes);
        called_ = had_called;
      }
    }
  }

  // False where nothing more can be told.
  bool branch(u64& at) {
    const Truth truth = paper_.condition(walk_);
    if (truth == Truth::unknown) {
      at = walk_.next();
      return !course.decided;
    }
    const u64 to = truth == Truth::yes ? walk_.target() : walk_.next();
    if (paper_.flags_are_tainted()) {
      note_kind();
      note(walk_.next(), truth == Truth::yes);
    }
    return go(at, to);
  }

  bool jump(u64& at) {
    u64 to = walk_.target();
    if (to == 0) {
      const Known target = paper_.value_of(walk_.operands[0], walk_, image_);
      if (!target.is_constant() || !target.tainted) {
        return false;
      }
      to = static_cast<u64>(target.number);
      note(to, true);
    }
    if (is_tail_call(image_, start_, to)) {
      finish_by_tail_call();
      return false;
    }
    return go(at, to);
  }

  bool go(u64& at, u64 to) {
    course.cold = course.cold || (course.decided && !same_part(to));
    at = to;
    return true;
  }

  bool same_part(u64 to) const {
    image::Module module;
    image::Function part;
    return image_.find_module(image_.context, start_, module) &&
           image_.find_part(image_.context, module, start_, part) && (part.cold || part.holds(to));
  }

  void finish() {
    returned = true;
    result = paper_.reg(rax);
    if (!course.decided) {
      return;
    }
    course.ends = true;
    const bool error = result.is_constant() && result.number != 0 && result.number != 1;
    course.failure += error && !called_ ? 1 : 0;
    course.failure += !result.is_constant() ? 1 : result.number < 0 ? 4 : error ? 3 : 0;
  }

  // The caller's own caller gets what the called function returns.
  void finish_by_tail_call() {
    course.ends = course.decided;
    course.failure += course.decided ? 1 : 0;
  }

  const ImageView& image_;
  CodeWalk walk_;
  u64 start_;
  Paper paper_;
  bool called_ = false;
  unsigned since_ = 0;
  unsigned most_behind_ = behind_decision;
};

}  // namespace

Course course_of(const Exit& exit, const FrameArguments& arguments,
                 std::span<const u64> return_addresses, const ImageView& image) {
  Course course = {};
  u64 value = exit.value;
  for (unsigned level = 0; level < return_addresses.size() && level < most_levels; ++level) {
    Follower follower(value, return_addresses[level], image);
    if (level == 0) {
      follower.leave_behind(exit, arguments);
    }
    follower.run();
    const Course here = follower.course;
    const u64 branches = course.branches * 31 + here.branches;
    const bool decided = course.decided || here.decided;
    const bool knows_codes = course.knows_codes || here.knows_codes;
    const bool asks_zero = course.asks_zero || here.asks_zero;
    const bool asks_sign = course.asks_sign || here.asks_sign;
    const int points = here.failure + (here.cold ? 4 : 0) + (here.aborts ? 3 : 0) +
                       (here.says_so ? 3 : 0) + (here.sets_errno ? 3 : 0);
    if (level == 0 || here.decided) {
      const int before = course.decided ? 1 : 0;
      course = here;
      course.failure = points + before;
    }
    course.branches = branches;
    course.decided = decided;
    course.knows_codes = knows_codes;
    course.asks_zero = asks_zero;
    course.asks_sign = asks_sign;
    if (!follower.returned || !follower.result.is_constant() || !follower.result.tainted) {
      break;
    }
    value = static_cast<u64>(follower.result.number);
  }
  return course;
}

bool ends_the_process(u64 value, std::span<const u64> return_addresses, const ImageView& image) {
  unsigned left = most_callees;
  for (const u64 address :
       return_addresses.first(std::min<u64>(return_addresses.size(), most_levels))) {
    Follower follower(value, address, image);
    follower.ask_callees(left);
    follower.run();
    left = follower.callees_to_ask;
    if (follower.dies || !follower.returned || !follower.result.is_constant() ||
        !follower.result.tainted) {
      return follower.dies;
    }
    value = static_cast<u64>(follower.result.number);
  }
  return false;
}

Course course_of(u64 value, std::span<const u64> return_addresses, const ImageView& image) {
  Exit exit = {};
  exit.kind = Exit::constant;
  exit.value = value;
  return course_of(exit, {}, return_addresses, image);
}

}  // namespace selfheal::recover
