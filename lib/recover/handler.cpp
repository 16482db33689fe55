#include "lib/recover/handler.h"

#include <string_view>

#include "lib/recover/imports.h"

namespace selfheal::recover {
namespace {

using std::string_view_literals::operator""sv;

constexpr unsigned most_instructions = 400;
constexpr unsigned most_waiting = 32;
constexpr unsigned most_seen = 128;

enum class Call : u8 { other, begins, leaves, passes_on, cleans_up, ends };

Call call_of(const char* name) {
  struct Known {
    std::string_view name;
    Call call;
  };
  constexpr Known known[] = {
      {"__cxa_begin_catch"sv, Call::begins},
      {"__cxa_end_catch"sv, Call::leaves},
      {"__cxa_rethrow"sv, Call::passes_on},
      {"_Unwind_Resume"sv, Call::cleans_up},
      {"__cxa_throw"sv, Call::ends},
      {"_ZSt9terminatev"sv, Call::ends},
      {"__cxa_call_terminate"sv, Call::ends},
      {"abort"sv, Call::ends},
      {"exit"sv, Call::ends},
      {"_exit"sv, Call::ends},
      {"quick_exit"sv, Call::ends},
  };
  for (const Known& one : known) {
    if (name != nullptr && name == one.name) {
      return one.call;
    }
  }
  return Call::other;
}

// A place, and whether the exception is caught there.
struct Place {
  u64 at;
  bool caught;

  bool operator==(const Place&) const = default;
};

class Search {
 public:
  explicit Search(const ImageView& image) : image_(image), code_(image, most_instructions) {}

  Handler run(u64 pad) {
    go(pad, false);
    while (waiting_count_ != 0 && !ends_) {
      follow(waiting_[--waiting_count_]);
    }
    return ends_ || !begins_ ? Handler::ends : passes_on_ ? Handler::passes_on : Handler::takes;
  }

 private:
  // What has not been seen is given up as if it ended the program.
  void go(u64 at, bool caught) {
    const Place place{at, caught};
    for (unsigned i = 0; i < seen_count_; ++i) {
      if (seen_[i] == place) {
        return;
      }
    }
    if (seen_count_ == most_seen || waiting_count_ == most_waiting) {
      ends_ = true;
      return;
    }
    seen_[seen_count_++] = place;
    waiting_[waiting_count_++] = place;
  }

  void follow(Place place) {
    for (u64 at = place.at;; at = code_.next()) {
      if (!code_.fetch(at)) {
        ends_ = true;
        return;
      }
      switch (code_.category()) {
        case ZYDIS_CATEGORY_RET:
          return;
        case ZYDIS_CATEGORY_COND_BR:
          go(code_.target(), place.caught);
          return go(code_.next(), place.caught);
        case ZYDIS_CATEGORY_UNCOND_BR:
          return jump(place);
        case ZYDIS_CATEGORY_CALL:
          if (!call(place)) {
            return;
          }
          break;
        default:
          if (code_.is(ZYDIS_MNEMONIC_UD2)) {
            ends_ = true;
            return;
          }
          break;
      }
    }
  }

  // A tail call: mostly of __cxa_end_catch, where the function ends with the handler. Through a
  // pointer it is a switch of the handler's, whose cases are not followed.
  void jump(Place& place) {
    if (imported_callee(image_, code_, code_.next()) != nullptr) {
      call(place);
    } else if (code_.target() != 0) {
      go(code_.target(), place.caught);
    } else {
      ends_ = true;
    }
  }

  // False: it does not come back, or the handler is done.
  bool call(Place& place) {
    const u64 target = code_.target();
    switch (callee()) {
      case Call::begins:
        begins_ = true;
        place.caught = true;
        return true;
      case Call::leaves:
        return !place.caught;
      case Call::passes_on:
        passes_on_ = true;
        return false;
      case Call::cleans_up:
        return false;
      case Call::ends:
        ends_ = true;
        return false;
      case Call::other:
        break;
    }
    ends_ = ends_ || (!place.caught && target != 0 && ends_program(target));
    return !ends_;
  }

  Call callee() const { return call_of(imported_callee(image_, code_, code_.next())); }

  // clang's __clang_call_terminate: it catches, and then it ends.
  bool ends_program(u64 entry) const {
    constexpr unsigned longest = 6;
    CodeWalk code(image_, longest);
    for (u64 at = entry; code.fetch(at); at = code.next()) {
      if (code.category() == ZYDIS_CATEGORY_CALL &&
          call_of(imported_callee(image_, code, entry)) == Call::ends) {
        return true;
      }
      if (code.category() == ZYDIS_CATEGORY_RET || code.category() == ZYDIS_CATEGORY_UNCOND_BR) {
        return false;
      }
    }
    return false;
  }

  const ImageView& image_;
  CodeWalk code_;
  Place waiting_[most_waiting];
  Place seen_[most_seen];
  unsigned waiting_count_ = 0;
  unsigned seen_count_ = 0;
  bool begins_ = false;
  bool passes_on_ = false;
  bool ends_ = false;
};

}  // namespace

Handler handler_at(u64 pad, const ImageView& image) {
  return Search(image).run(pad);
}

}  // namespace selfheal::recover
