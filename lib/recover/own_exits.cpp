// Twice over the function's paths: with callees that return something, and once more from behind
// each call of a library's function, as if that had failed.
//
//        call fopen@plt ──► it returned something ──► 0, -1, the file …
//             │
//             └───────────► it returned NULL (tainted) ──► a branch on it ──► -1 and nothing else:
//                                                          how this function reports failure
//
// Nothing is learned from a call behind which several values may be returned, or that leads to the
// same value when it succeeds, as one does that nobody looks at the result of.
#include "lib/recover/own_exits.h"

#include <cstring>

#include "lib/recover/callees.h"
#include "lib/recover/imports.h"
#include "lib/recover/library_failures.h"
#include "lib/recover/paths.h"
#include "lib/recover/straight_exits.h"
#include "lib/recover/throwing.h"
#include "lib/recover/type_info.h"

namespace selfheal::recover {
namespace {

constexpr unsigned max_instructions = 6000;
constexpr unsigned behind_a_failure = 160;  // instructions, on all paths from one failed call
constexpr unsigned max_failures = 12;       // calls that are made to fail

struct LibraryCall {
  const LibraryFailure* failure;
  bool at_fault;
  u64 at;
  u8 before[sizeof(Path)];  // as bytes: no pages of it are in the file
};

constinit LibraryCall library_calls[max_failures] = {};

class Explorer {
 public:
  Explorer(const image::Function& function, u64 site, const ImageView& image, OwnExits& out)
      : function_(function),
        site_(site),
        image_(image),
        callees_(function, image),
        paths_(function, site, image, {this, &Explorer::at_exit, &Explorer::at_call}),
        out_(out) {}

  void run() {
    Path start;
    start.paper.at_entry();
    start.at = function_.start;
    paths_.explore(start, max_instructions);
    out_.exhausted = out_.exhausted || paths_.exhausted();
    out_.returns = out_.returns || paths_.left();
    for (unsigned i = 0; i < call_count_; ++i) {
      let_fail(library_calls[i]);
    }
    out_.analysed = true;
  }

 private:
  // The exits behind one call, with a result that is known.
  struct Behind {
    u64 call = 0;  // a path that comes to it again (EINTR) is not followed
    unsigned count = 0;
    bool alike = true;
    Exit exit = {};
  };

  static void at_exit(void* context, const Path& path, bool tail_call) {
    Explorer& self = *static_cast<Explorer*>(context);
    const Exit exit = self.exit_of(path, tail_call);
    if (self.behind_ == nullptr) {
      self.out_.returns = true;
      self.out_.add(exit);
      if (tail_call) {
        self.let_tail_call_fail(path, exit);
      }
      return;
    }
    Behind& behind = *self.behind_;
    behind.alike = behind.alike && exit.kind != Exit::other &&
                   (behind.count == 0 || same_result(behind.exit, exit));
    behind.exit = behind.count == 0 ? exit : behind.exit;
    ++behind.count;
  }

  static bool at_call(void* context, Path& path, const CodeWalk& walk) {
    Explorer& self = *static_cast<Explorer*>(context);
    if (self.behind_ != nullptr && path.at == self.behind_->call) {
      return false;
    }
    const Callee& callee = self.callees_.called_at(path.at, walk);
    const LibraryFailure* const failure = callee.failure;
    if (callee.throws) {
      self.note_throw(path);
      return false;
    }
    if (self.behind_ == nullptr && failure != nullptr &&
        failure->meaning == FailureMeaning::failure) {
      self.note(path, walk, *failure);
    }
    const Known result = callee.result(path.paper);
    path.paper.call();
    if (result.is_constant()) {
      path.paper.set_result(static_cast<u64>(result.number));
    }
    return true;
  }

  // jmp open@plt: what that returns is what this function does.
  void let_tail_call_fail(const Path& path, Exit exit) {
    const char* name = import_behind_stub(image_, path.at, function_.start);
    const LibraryFailure* failure = name == nullptr ? nullptr : find_library_failure(name);
    if (failure == nullptr || failure->meaning != FailureMeaning::failure) {
      return;
    }
    exit.kind = Exit::constant;
    exit.value = static_cast<u64>(failure->value());
    exit.failed_calls = 1;
    exit.library_error = failure->error_number();
    out_.add(exit);
  }

  // The type is its second argument. Behind a call that is made to fail, it is another end.
  void note_throw(const Path& path) {
    const Known& known = path.paper.reg(rsi);
    const u64 type = known.is_constant() ? static_cast<u64>(known.number)
                                         : type_at(path.paper.loaded_from(known));
    OwnThrow own_throw;
    if (behind_ != nullptr) {
      behind_->alike = false;
    }
    if (find_own_throw(type, path.at, image_, own_throw)) {
      own_throw.avoids_fault = site_ != 0 && !path.passed_fault;
      own_throw.length = path.length;
      out_.add(own_throw);
    }
  }

  // Once for each call, on the first path that comes by.
  void note(const Path& path, const CodeWalk& walk, const LibraryFailure& failure) {
    for (unsigned i = 0; i < call_count_; ++i) {
      if (library_calls[i].at == path.at) {
        return;
      }
    }
    if (call_count_ == max_failures) {
      return;
    }
    LibraryCall& call = library_calls[call_count_++];
    call.failure = &failure;
    call.at = path.at;
    call.at_fault = walk.next() == site_;
    Path behind = path;
    behind.at = walk.next();
    std::memcpy(call.before, &behind, sizeof behind);
  }

  // False where the paths behind it are too long.
  bool explore_behind(const LibraryCall& call, i64 result, unsigned out_argument, Behind& behind) {
    Path path;
    std::memcpy(&path, call.before, sizeof path);
    path.paper.call_returned(result, out_argument);
    ++path.calls;
    path.loop = 0;
    behind.call = call.at;
    behind_ = &behind;
    Paths paths(function_, site_, image_, {this, &Explorer::at_exit, &Explorer::at_call});
    paths.explore(path, behind_a_failure);
    behind_ = nullptr;
    return !paths.exhausted();
  }

  void let_fail(const LibraryCall& call) {
    const LibraryFailure& failure = *call.failure;
    Behind failed;
    if (!explore_behind(call, failure.value(), failure.out_argument, failed) || failed.count == 0 ||
        !failed.alike) {
      return;
    }
    Behind succeeded;
    const bool all = explore_behind(call, failure.success(), 0, succeeded);
    if (all && succeeded.count != 0 && succeeded.alike &&
        same_result(succeeded.exit, failed.exit)) {
      return;
    }
    failed.exit.failed_calls = 1;
    failed.exit.faulting_call = call.at_fault;
    failed.exit.library_error = failure.error_number();
    out_.add(failed.exit);
  }

  Exit exit_of(const Path& path, bool tail_call) const {
    Exit exit = {};
    const Known result =
        tail_call ? callees_.continued_at(path.at).result(path.paper) : path.paper.reg(rax);
    exit.kind = Exit::other;
    if (result.is_constant()) {
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
    return exit;
  }

  void keep_stores(const Paper& paper, Exit& exit) const {
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

  const image::Function& function_;
  u64 site_;
  const ImageView& image_;
  Callees callees_;
  Paths paths_;
  OwnExits& out_;
  Behind* behind_ = nullptr;  // while a call is made to fail
  unsigned call_count_ = 0;
};

}  // namespace

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
