#include "lib/recover/paths.h"

#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "lib/recover/imports.h"
#include "lib/recover/never_returns.h"
#include "lib/recover/side.h"

namespace selfheal::recover {
namespace {

constexpr unsigned max_waiting = 64;
constexpr unsigned seen_size = 4096;
constexpr u8 most_visits = 20;  // of one address, whatever the constants

static_assert(std::is_trivially_copyable_v<Path>);

struct WorkSpace {
  u8 waiting[max_waiting][sizeof(Path)];  // as bytes: no pages of it are in the file
  u64 seen[seen_size];
  u8 visits[seen_size];
};

constinit WorkSpace work_space = {};

}  // namespace

void Paths::explore(const Path& start, unsigned budget) {
  std::memset(work_space.seen, 0, sizeof work_space.seen);
  std::memset(work_space.visits, 0, sizeof work_space.visits);
  walk_.grant(budget);
  push(start);
  while (count_ != 0) {
    Path path;
    std::memcpy(&path, work_space.waiting[--count_], sizeof path);
    follow(path);
  }
  exhausted_ = exhausted_ || walk_.budget() == 0;
}

void Paths::push(const Path& path) {
  if (count_ == max_waiting || seen_before(path)) {
    exhausted_ = exhausted_ || count_ == max_waiting;
    return;
  }
  std::memcpy(work_space.waiting[count_++], &path, sizeof path);
}

bool Paths::seen_before(const Path& path) {
  const u64 place = (path.at * 0x9e3779b97f4a7c15U) >> 52;
  const u64 key = (path.paper.fingerprint() ^ path.at * 31) * 4 + (path.passed_fault ? 2 : 0) +
                  (path.cold ? 1 : 0);
  u64& seen = work_space.seen[(key * 0x9e3779b97f4a7c15U) >> 52];
  if (seen == key || work_space.visits[place] >= most_visits) {
    return true;
  }
  seen = key;
  ++work_space.visits[place];
  return false;
}

void Paths::follow(Path& path) {
  while (walk_.fetch(path.at)) {
    ++path.length;
    note_fault(path);
    switch (walk_.category()) {
      case ZYDIS_CATEGORY_RET:
        return visitor_.at_exit(visitor_.context, path, false);
      case ZYDIS_CATEGORY_COND_BR:
        return branch(path);
      case ZYDIS_CATEGORY_UNCOND_BR:
        if (!jump(path)) {
          return;
        }
        continue;
      case ZYDIS_CATEGORY_CALL:
        if (!visitor_.at_call(visitor_.context, path, walk_)) {
          return;
        }
        ++path.calls;
        if (!inside(walk_.next())) {
          return;  // the callee does not return
        }
        break;
      case ZYDIS_CATEGORY_SETCC:
      case ZYDIS_CATEGORY_CMOV:
        if (path.paper.condition(walk_) == Truth::unknown) {
          return either(path);
        }
        path.paper.execute(walk_, image_);
        break;
      default:
        if (path.paper.decidable(walk_, image_)) {
          return either(path);
        }
        if (walk_.is(ZYDIS_MNEMONIC_UD2) || walk_.is(ZYDIS_MNEMONIC_HLT)) {
          return;
        }
        path.paper.execute(walk_, image_);
        break;
    }
    path.at = walk_.next();
  }
}

// The fault's instruction, or the call behind which it returns.
void Paths::note_fault(Path& path) const {
  path.passed_fault = path.passed_fault || path.at == site_ ||
                      (walk_.category() == ZYDIS_CATEGORY_CALL && walk_.next() == site_);
}

bool Paths::inside(u64 address) const {
  image::Module module;
  image::Function part;
  return function_.holds(address) ||
         (image_.find_module(image_.context, address, module) &&
          image_.find_part(image_.context, module, address, part) && part.start != address);
}

void Paths::branch(const Path& path) {
  const Truth truth = path.paper.condition(walk_);
  const CodeWalk here = walk_;
  const auto go = [&](u64 to, bool holds) {
    Path next = path;
    next.paper.assume(here, holds);
    note_loop(next, to);
    next.at = to;
    if (enter(next, to)) {
      push(next);
    }
  };
  if (truth != Truth::no) {
    go(walk_.target(), true);
  }
  if (truth != Truth::yes) {
    go(walk_.next(), false);
  }
}

// A register that changes from one round of a loop to the next could be anything.
void Paths::note_loop(Path& path, u64 to) const {
  if (to > path.at) {
    return;
  }
  if (path.loop == to) {
    path.paper.forget_changed_since(path.at_loop);
  }
  path.loop = to;
  path.at_loop = path.paper;
}

// Where nothing was pushed yet, a split-off part begins as a function does. Compilers make no tail
// call of what never returns, so this is none.
bool Paths::is_own_part(u64 to) const {
  constexpr u64 largest = 4096;  // bytes
  image::Module module;
  image::Function part;
  return image_.find_module(image_.context, to, module) &&
         image_.find_part(image_.context, module, to, part) && part.size <= largest &&
         slot_of_stub(image_, to) == 0 && never_returns(image_, part);
}

// False where the path ends. A jump to a split-off part stays in the function.
bool Paths::enter(Path& path, u64 to) {
  if (function_.holds(to)) {
    return true;
  }
  if (is_tail_call(image_, function_.start, to) && !is_own_part(to)) {
    visitor_.at_exit(visitor_.context, path, true);
    return false;
  }
  path.cold = true;
  return true;
}

bool Paths::jump(Path& path) {
  const u64 to = walk_.target();
  if (to != 0) {
    note_loop(path, to);
    path.at = to;
    return enter(path, to);
  }
  switch_to_cases(path);
  return false;
}

// A jump table: every case that lies in the function.
void Paths::switch_to_cases(const Path& path) {
  constexpr unsigned most = 64;
  const Known target = path.paper.value_of(walk_.operands[0], walk_, image_);
  unsigned cases = 0;
  if (target.is_constant()) {
    Path next = path;
    next.at = static_cast<u64>(target.number);
    push(next);
    return;
  }
  for (; path.paper.table != 0 && cases < most; ++cases) {
    i32 distance = 0;
    if (image_.read_code(image_.context, path.paper.table + cases * sizeof distance,
                         reinterpret_cast<u8*>(&distance), sizeof distance) != sizeof distance) {
      break;
    }
    Path next = path;
    next.at = path.paper.table + static_cast<u64>(i64{distance});
    next.paper.table = 0;
    if (!inside(next.at)) {
      break;
    }
    push(next);
  }
  if (cases == 0) {  // a pointer to another function, or a table of another form
    exhausted_ = true;
    left_ = true;
  }
}

void Paths::either(const Path& path) {
  for (const bool holds : {true, false}) {
    Path next = path;
    next.paper.decide(walk_, holds, image_);
    next.at = walk_.next();
    push(next);
  }
}

}  // namespace selfheal::recover
