#include "lib/recover/never_returns.h"

#include "lib/recover/code_walk.h"
#include "lib/recover/imports.h"

namespace selfheal::recover {
namespace {

// What never returns is short, or is a main loop, of which the same is true.
constexpr unsigned longest = 4096;

// Compilers make no tail call of what does not return (its caller would be missing in a backtrace),
// so a jump to another function's entry is one that returns, as is one through a pointer. A
// split-off part is no function; a PLT entry looks like one.
bool is_tail_call(const ImageView& image, const image::Function& from, u64 target) {
  image::Module module;
  image::Function there;
  if (target == 0 || from.holds(target)) {
    return target == 0;
  }
  return slot_of_stub(image, target) != 0 ||
         !(image.find_module(image.context, target, module) &&
           image.find_part(image.context, module, target, there) && there.cold);
}

}  // namespace

bool never_returns(const ImageView& image, const image::Function& function) {
  CodeWalk walk(image, longest);
  for (u64 at = function.start; at < function.end(); at = walk.next()) {
    if (!walk.fetch(at) || walk.category() == ZYDIS_CATEGORY_RET) {
      return false;
    }
    if (walk.category() == ZYDIS_CATEGORY_UNCOND_BR &&
        is_tail_call(image, function, walk.target())) {
      return false;
    }
  }
  return true;
}

}  // namespace selfheal::recover
