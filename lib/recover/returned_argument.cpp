// One pass over the function's text, in the order of addresses. An argument's home is the register
// that it comes in, as long as nothing is called, or one that it is copied to before the first call
// and that belongs to callers; a home that anything else is written to is none. In front of each
// return there has to be a copy of a home to rax, which nothing jumps in behind of.
#include "lib/recover/returned_argument.h"

#include <span>

#include "lib/base/registers.h"
#include "lib/recover/holders.h"

namespace selfheal::recover {
namespace {

constexpr unsigned longest = 256;  // instructions
constexpr unsigned most_jumps = 48;
constexpr unsigned most_returns = 6;
constexpr Gpr arguments[] = {rdi, rsi, rdx, rcx, r8, r9};

bool is_preserved(Gpr gpr) {
  return gpr == rbx || gpr == rbp || gpr >= r12;
}

struct Jump {
  u64 from;
  u64 to;
};

// From the copy to rax up to the return.
struct Tail {
  Gpr home;
  u64 from;
  u64 to;
};

class Pass {
 public:
  Pass(const ImageView& image, const image::Function& function)
      : function_(function), walk_(image, longest) {
    for (unsigned i = 0; i < std::size(arguments); ++i) {
      homes_[arguments[i]] = static_cast<u8>(i + 1);
    }
  }

  unsigned run() {
    for (u64 at = function_.start; at < function_.end(); at = walk_.next()) {
      if (!walk_.fetch(at) || !look(at)) {
        return 0;
      }
    }
    unsigned which = 0;
    for (const Tail& tail : std::span(tails_).first(tail_count_)) {
      const unsigned here = homes_[tail.home];
      if (here == 0 || (which != 0 && which != here) || is_entered(tail)) {
        return 0;
      }
      which = here;
    }
    return which;
  }

 private:
  // False where it cannot be told.
  bool look(u64 at) {
    switch (walk_.category()) {
      case ZYDIS_CATEGORY_RET:
        if (!copied_ || tail_count_ == most_returns) {
          return false;
        }
        tails_[tail_count_++] = {copied_from_, copied_at_, at};
        copied_ = false;
        return true;
      case ZYDIS_CATEGORY_CALL:
        called_ = true;
        copied_ = false;
        for (const Gpr argument : arguments) {
          homes_[argument] = 0;
        }
        return true;
      case ZYDIS_CATEGORY_UNCOND_BR:
        copied_ = false;
        return note_jump(at);
      case ZYDIS_CATEGORY_COND_BR:
        return note_jump(at);
      default:
        note_writes(at);
        return true;
    }
  }

  bool note_jump(u64 at) {
    const u64 to = walk_.target();
    if (jump_count_ == most_jumps || !function_.holds(to)) {
      return false;  // a split-off part may come back with anything
    }
    jumps_[jump_count_++] = {at, to};
    return true;
  }

  void note_writes(u64 at) {
    const auto& to = walk_.operands[0];
    const auto& from = walk_.operands[1];
    Gpr source = rax;
    Gpr target = rax;
    const bool copy = walk_.is(ZYDIS_MNEMONIC_MOV) && to.type == ZYDIS_OPERAND_TYPE_REGISTER &&
                      from.type == ZYDIS_OPERAND_TYPE_REGISTER && to.size >= 32 &&
                      gpr_of(to.reg.value, target) && gpr_of(from.reg.value, source) &&
                      homes_[source] != 0;
    if (copy && target == rax) {
      copied_ = true;
      copied_from_ = source;
      copied_at_ = at;
      return;
    }
    if (copy && !called_ && is_preserved(target) && !moved_in_[target]) {
      homes_[target] = homes_[source];
      moved_in_[target] = true;
      return;
    }
    if (walk_.is(ZYDIS_MNEMONIC_POP)) {
      return;  // what was there before comes back
    }
    for (unsigned i = 0; i < walk_.instruction.operand_count; ++i) {
      const auto& operand = walk_.operands[i];
      if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
          operand.type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(operand.reg.value, target)) {
        homes_[target] = 0;
        moved_in_[target] = true;
        copied_ = copied_ && target != rax;
      }
    }
  }

  // From elsewhere, with something else in rax.
  bool is_entered(const Tail& tail) const {
    for (const Jump& jump : std::span(jumps_).first(jump_count_)) {
      const bool inside = jump.from > tail.from && jump.from < tail.to;
      if (!inside && jump.to > tail.from && jump.to <= tail.to) {
        return true;
      }
    }
    return false;
  }

  const image::Function& function_;
  CodeWalk walk_;
  u8 homes_[gpr_count] = {};  // the argument whose home it is; 0: none
  bool moved_in_[gpr_count] = {};
  bool called_ = false;
  bool copied_ = false;  // rax is a copy of ...
  Gpr copied_from_ = rax;
  u64 copied_at_ = 0;
  Jump jumps_[most_jumps];
  unsigned jump_count_ = 0;
  Tail tails_[most_returns];
  unsigned tail_count_ = 0;
};

}  // namespace

unsigned returned_argument(const ImageView& image, u64 entry) {
  image::Module module;
  image::Function function;
  return image.find_module(image.context, entry, module) &&
                 image.find_part(image.context, module, entry, function) && function.start == entry
             ? Pass(image, function).run()
             : 0;
}

}  // namespace selfheal::recover
