// Depth first, with a stack of states; a state that has been at an address with the same constants
// before is not followed again.
#include "lib/recover/own_exits.h"

#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "lib/recover/code_walk.h"
#include "lib/recover/on_paper.h"
#include "lib/recover/side.h"
#include "lib/recover/straight_exits.h"

namespace selfheal::recover {
namespace {

constexpr unsigned max_instructions = 6000;
constexpr unsigned max_waiting = 64;
constexpr unsigned seen_size = 4096;
constexpr u8 most_visits = 20;  // of one address, whatever the constants

struct Path {
  Paper paper;
  u64 at = 0;
  u16 length = 0;
  u16 calls = 0;
  bool passed_fault = false;
  bool cold = false;
  u64 loop = 0;   // the target of its last jump backwards
  Paper at_loop;  // what was known there
};

static_assert(std::is_trivially_copyable_v<Path>);

struct WorkSpace {
  u8 waiting[max_waiting][sizeof(Path)];  // as bytes: no pages of it are in the file
  u64 seen[seen_size];
  u8 visits[seen_size];
};

constinit WorkSpace work_space = {};

class Explorer {
 public:
  Explorer(const image::Function& function, u64 site, const ImageView& image, OwnExits& out)
      : function_(function), site_(site), image_(image), walk_(image, max_instructions), out_(out) {
    for (unsigned i = 0; i < seen_size; ++i) {
      work_space.seen[i] = 0;
      work_space.visits[i] = 0;
    }
  }

  void run() {
    Path start;
    start.paper.at_entry();
    start.at = function_.start;
    push(start);
    while (count_ != 0) {
      Path path;
      std::memcpy(&path, work_space.waiting[--count_], sizeof path);
      follow(path);
    }
    out_.exhausted = out_.exhausted || walk_.budget() == 0;
    out_.analysed = true;
  }

 private:
  void push(const Path& path) {
    if (count_ == max_waiting || seen_before(path)) {
      out_.exhausted = out_.exhausted || count_ == max_waiting;
      return;
    }
    std::memcpy(work_space.waiting[count_++], &path, sizeof path);
  }

  bool seen_before(const Path& path) {
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

  void follow(Path& path) {
    while (walk_.fetch(path.at)) {
      ++path.length;
      note_fault(path);
      switch (walk_.category()) {
        case ZYDIS_CATEGORY_RET:
          return add_exit(path, false);
        case ZYDIS_CATEGORY_COND_BR:
          return branch(path);
        case ZYDIS_CATEGORY_UNCOND_BR:
          if (!jump(path)) {
            return;
          }
          continue;
        case ZYDIS_CATEGORY_CALL:
          path.paper.call();
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
  void note_fault(Path& path) const {
    path.passed_fault = path.passed_fault || path.at == site_ ||
                        (walk_.category() == ZYDIS_CATEGORY_CALL && walk_.next() == site_);
  }

  bool inside(u64 address) const {
    image::Module module;
    image::Function part;
    return function_.holds(address) ||
           (image_.find_module(image_.context, address, module) &&
            image_.find_part(image_.context, module, address, part) && part.start != address);
  }

  void branch(const Path& path) {
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
  void note_loop(Path& path, u64 to) const {
    if (to > path.at) {
      return;
    }
    if (path.loop == to) {
      path.paper.forget_changed_since(path.at_loop);
    }
    path.loop = to;
    path.at_loop = path.paper;
  }

  // False where the path ends. A jump to a split-off part stays in the function.
  bool enter(Path& path, u64 to) {
    if (function_.holds(to)) {
      return true;
    }
    if (is_tail_call(image_, function_.start, to)) {
      add_exit(path, true);
      return false;
    }
    path.cold = true;
    return true;
  }

  bool jump(Path& path) {
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
  void switch_to_cases(const Path& path) {
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
      out_.exhausted = true;
      out_.returns = true;
    }
  }

  void either(const Path& path) {
    for (const bool holds : {true, false}) {
      Path next = path;
      next.paper.decide(walk_, holds, image_);
      next.at = walk_.next();
      push(next);
    }
  }

  void add_exit(const Path& path, bool tail_call) {
    out_.returns = true;
    Exit exit = {};
    const Known& result = path.paper.reg(rax);
    exit.kind = Exit::other;
    if (!tail_call && result.is_constant()) {
      exit.kind = Exit::constant;
      exit.value = static_cast<u64>(result.number);
    } else if (!tail_call && result.kind == Known::argument && result.which == 0 &&
               result.number == 0) {
      exit.kind = Exit::first_argument;
    }
    const Known& second = path.paper.reg(rdx);
    exit.has_second = !tail_call && second.is_constant();
    exit.second = exit.has_second ? static_cast<u64>(second.number) : 0;
    exit.has_vector = !tail_call && path.paper.vector(exit.vector);
    exit.error_number = path.paper.error_number;
    exit.length = path.length;
    exit.calls = path.calls;
    exit.avoids_fault = site_ != 0 && !path.passed_fault;
    exit.behind_fault = path.passed_fault;
    exit.cold = path.cold;
    keep_stores(path.paper, exit);
    merge(exit);
  }

  void keep_stores(const Paper& paper, Exit& exit) {
    exit.whole = !paper.stores_lost;
    for (unsigned i = 0; i < paper.store_count; ++i) {
      const PaperStore& store = paper.stores[i];
      const u32 end = static_cast<u32>(store.offset) + store.size;
      if (store.argument == 0 && store.offset >= 0 && end > out_.extent) {
        out_.extent = end;
      }
      const bool based = store.value.kind == Known::argument;
      if ((!based && !store.value.is_constant()) || exit.store_count == max_exit_stores) {
        exit.whole = false;
        continue;
      }
      exit.stores[exit.store_count++] = {
          store.argument,    store.size,   static_cast<u8>(based),
          store.value.which, store.offset, static_cast<u64>(store.value.number)};
    }
  }

  static bool same_stores(const Exit& a, const Exit& b) {
    if (a.store_count != b.store_count) {
      return false;
    }
    for (unsigned i = 0; i < a.store_count; ++i) {
      if (a.stores[i].argument != b.stores[i].argument ||
          a.stores[i].offset != b.stores[i].offset || a.stores[i].value != b.stores[i].value) {
        return false;
      }
    }
    return true;
  }

  // Exits that return the same are one, of the shortest path; where the result is in memory, those
  // are that also leave the same there.
  void merge(const Exit& exit) {
    for (unsigned i = 0; i < out_.count; ++i) {
      Exit& known = out_.exits[i];
      if (known.kind != exit.kind || known.value != exit.value ||
          (exit.kind != Exit::constant &&
           (!same_stores(known, exit) || known.has_vector != exit.has_vector ||
            (exit.has_vector && known.vector != exit.vector)))) {
        continue;
      }
      const bool avoids = known.avoids_fault || exit.avoids_fault;
      const bool behind = known.behind_fault || exit.behind_fault;
      const i32 error_number = known.error_number != 0 ? known.error_number : exit.error_number;
      const bool better =
          exit.avoids_fault != known.avoids_fault ? exit.avoids_fault : exit.length < known.length;
      known = better ? exit : known;
      known.avoids_fault = avoids;
      known.behind_fault = behind;
      known.error_number = error_number;
      return;
    }
    if (out_.count < max_exits) {
      out_.exits[out_.count++] = exit;
    } else {
      out_.exhausted = true;
    }
  }

  const image::Function& function_;
  u64 site_;
  const ImageView& image_;
  CodeWalk walk_;
  OwnExits& out_;
  unsigned count_ = 0;
};

}  // namespace

bool OwnExits::is_truth_value() const {
  bool one = false;
  for (const Exit& exit : *this) {
    if (exit.kind == Exit::constant && exit.value > 1) {
      return false;
    }
    one = one || (exit.kind == Exit::constant && exit.value == 1);
  }
  return one;
}

bool OwnExits::speaks_against(i64 value) const {
  bool known = false;
  for (const Exit& exit : *this) {
    if (exit.kind == Exit::constant && static_cast<i64>(exit.value) == value) {
      return false;
    }
    known = known || (exit.kind == Exit::constant && exit.value != 0);
  }
  return known;
}

void OwnExits::add_constant(i64 value) {
  for (const Exit& exit : *this) {
    if (exit.kind == Exit::constant && static_cast<i64>(exit.value) == value) {
      return;
    }
  }
  if (count < max_exits) {
    Exit& exit = exits[count++];
    exit = {};
    exit.kind = Exit::constant;
    exit.value = static_cast<u64>(value);
  }
}

bool find_own_exits(const image::Function& function, u64 site, const ImageView& image,
                    OwnExits& out) {
  static constinit bool taken = false;
  out = {};
  if (__atomic_exchange_n(&taken, true, __ATOMIC_ACQUIRE)) {
    return false;
  }
  Explorer(function, site, image, out).run();
  __atomic_store_n(&taken, false, __ATOMIC_RELEASE);
  add_straight_exits(function, image, out);
  return true;
}

}  // namespace selfheal::recover
