// Follows a returned value through the caller's code:
//
//        call  parse_header
//        mov   ebx, eax            holders: rax, rbx
//        lea   rdi, [rsp + 8]
//        call  release             holders: rbx
//        test  ebx, ebx            an int is tested for zero ...
//        jne   1f                  ... which side is the failure? look at both:
//        mov   rdi, r12                zero: goes on working
//        ...
//     1: mov   eax, ebx                not zero: returns it at once -> zero means fine
//        pop   rbx
//        ret
//
// A branch that does not depend on the value is followed to its fall-through only, and at most
// `max_instructions` are decoded: most callers decide within ten.
#include "lib/recover/caller_use.h"

#include "lib/recover/code_walk.h"
#include "lib/recover/comparison.h"
#include "lib/recover/holders.h"
#include "lib/recover/side.h"

namespace selfheal::recover {
namespace {

constexpr unsigned max_instructions = 64;
constexpr Gpr argument_registers[] = {rdi, rsi, rdx, rcx, r8, r9};

class Follower {
 public:
  Follower(u64 return_address, const ImageView& image)
      : image_(image), walk_(image, max_instructions), start_(return_address) {}

  CallerUse run() {
    u64 at = start_;
    while (walk_.fetch(at)) {
      u64 next = walk_.next();
      const bool go_on = consumes_flags() && comparison_.kind != Comparison::none
                             ? condition(next)
                             : instruction(next);
      if (!go_on) {
        break;
      }
      at = next;
    }
    // In a loop there is no end of it; but nobody has asked, and somebody else has it.
    if (!candidate_ && stored_ && result_.use == Use::unknown) {
      result_ = {Use::trusted, 0};
    }
    return result_;
  }

 private:
  // Ends the walk. What an earlier comparison said stays.
  bool finish(Use use) {
    if (!candidate_) {
      result_ = {use == Use::unused && stored_ ? Use::trusted : use,
                 use == Use::returned && stored_ ? 1 : 0};
    }
    return false;
  }

  bool consumes_flags() const {
    const auto category = walk_.category();
    return category == ZYDIS_CATEGORY_COND_BR || category == ZYDIS_CATEGORY_CMOV ||
           category == ZYDIS_CATEGORY_SETCC;
  }

  // A condition on the value. True: the walk goes on at `next`, looking for something better.
  bool condition(u64& next) {
    const Condition condition = condition_of(walk_.instruction.mnemonic);
    const Comparison comparison = comparison_;
    comparison_ = {};
    const bool branch = walk_.category() == ZYDIS_CATEGORY_COND_BR;
    const u64 equal = condition == Condition::equal && branch ? walk_.target() : walk_.next();
    const u64 other = condition == Condition::equal || !branch ? walk_.next() : walk_.target();
    CallerUse use{Use::unknown, 0};
    const bool settled = settle(comparison, condition, use);
    if (branch && !candidate_ && use.use == Use::compared && calls_again(image_, start_, equal)) {
      result_ = {Use::asks_next, use.constant};
      return false;
    }
    if (settled) {
      const bool minus_one = use.use == Use::compared && use.constant == -1;
      if (minus_one && branch && equal == zero_side_) {
        result_ = {Use::not_in_range, 0};  // -1 goes where 0 goes
      } else if (!candidate_ || minus_one) {
        result_ = use;
      }
      return false;
    }
    if (use.use == Use::unknown) {
      use = branch ? zero_test(equal, other) : CallerUse{Use::zero_is_fine, 0};
      zero_side_ = branch ? equal : 0;
    }
    if (!candidate_) {
      result_ = use;
    }
    // Where the value is something else it may still be told from -1, which then is the failure.
    candidate_ = true;
    next = other;
    return branch && result_.use != Use::zero_is_error && !holders_.empty();
  }

  CallerUse zero_test(u64 zero, u64 other) const {
    if (failure_score(image_, start_, zero, holders_, true) >
        failure_score(image_, start_, other, holders_, false)) {
      return {Use::zero_is_error, 0};
    }
    // That the value itself is handed on says nothing of what it means.
    constexpr int certain = 4;
    const bool failure = failure_score(image_, start_, other, Holders::none(), false) >= certain;
    return {Use::zero_is_fine, failure ? 1 : 0};
  }

  // Everything else. True: the walk goes on at `next`.
  bool instruction(u64& next) {
    switch (walk_.category()) {
      case ZYDIS_CATEGORY_RET:
        return finish(holders_.has(rax) ? Use::returned : Use::unused);
      case ZYDIS_CATEGORY_CALL:
        return call();
      case ZYDIS_CATEGORY_UNCOND_BR:
        next = walk_.target();
        if (next == 0) {
          return finish(Use::unknown);
        }
        return !is_tail_call(image_, start_, next) || finish(after_call());
      case ZYDIS_CATEGORY_COND_BR:
      case ZYDIS_CATEGORY_NOP:
      case ZYDIS_CATEGORY_WIDENOP:
        return true;
      default:
        return data();
    }
  }

  Use after_call() const {
    for (const Gpr argument : argument_registers) {
      if (holders_.has(argument)) {
        return Use::trusted;
      }
    }
    return Use::unused;
  }

  bool call() {
    const Use handed_over = after_call();
    comparison_ = {};
    bias_ = 0;
    holders_.call();
    return !holders_.empty() || finish(handed_over);
  }

  bool data() {
    const auto& first = walk_.operands[0];
    const auto& second = walk_.operands[1];
    switch (walk_.instruction.mnemonic) {
      case ZYDIS_MNEMONIC_CDQE:
      case ZYDIS_MNEMONIC_ENDBR64:
        return true;
      case ZYDIS_MNEMONIC_TEST:
      case ZYDIS_MNEMONIC_CMP:
        return compare(first, second);
      case ZYDIS_MNEMONIC_MOV:
      case ZYDIS_MNEMONIC_MOVSXD:
      case ZYDIS_MNEMONIC_MOVSX:
      case ZYDIS_MNEMONIC_MOVZX:
        return move(first, second);
      case ZYDIS_MNEMONIC_LEA:
        return add_constant(first, second);
      case ZYDIS_MNEMONIC_XOR:
        return same_register() ? write_zero(first) : any();
      case ZYDIS_MNEMONIC_OR:
      case ZYDIS_MNEMONIC_AND:
        return same_register() && holders_.holds(first) ? compare(first, second) : any();
      case ZYDIS_MNEMONIC_INC:
        return holders_.holds(first) ? counted(first, 1) : any();
      case ZYDIS_MNEMONIC_DEC:
        return holders_.holds(first) ? counted(first, -1) : any();
      case ZYDIS_MNEMONIC_ADD:
      case ZYDIS_MNEMONIC_SUB:
        if (!holders_.holds(first) || second.type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
          return any();
        }
        return counted(first,
                       walk_.is(ZYDIS_MNEMONIC_ADD) ? second.imm.value.s : -second.imm.value.s);
      default:
        return any();
    }
  }

  bool same_register() const {
    const auto& first = walk_.operands[0];
    const auto& second = walk_.operands[1];
    return first.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           second.type == ZYDIS_OPERAND_TYPE_REGISTER && first.reg.value == second.reg.value;
  }

  bool compare(const ZydisDecodedOperand& first, const ZydisDecodedOperand& second) {
    comparison_ = {};
    if (holders_.is_dereferenced(first) || holders_.is_dereferenced(second)) {
      return finish(Use::trusted);
    }
    const bool immediate = second.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    const bool biased = is_biased(first);
    if (biased || holders_.holds(first)) {
      comparison_.width = narrowed_ != 0 && narrowed_ < first.size ? narrowed_ : first.size;
      comparison_.bias = biased ? bias_ : 0;
      if (walk_.is(ZYDIS_MNEMONIC_CMP)) {
        comparison_.kind = immediate ? Comparison::constant : Comparison::other;
        comparison_.with = immediate ? second.imm.value.s : 0;
      } else {
        comparison_.kind = same_register() ? Comparison::constant : Comparison::bits;
      }
    } else if (holders_.holds(second)) {
      comparison_ = {Comparison::other, second.size, 0, 0};
    }
    return true;
  }

  bool move(const ZydisDecodedOperand& to, const ZydisDecodedOperand& from) {
    if (holders_.is_dereferenced(from) || holders_.is_dereferenced(to)) {
      return finish(Use::trusted);
    }
    if (!holders_.holds(from)) {
      return overwrite(to);
    }
    if (walk_.is(ZYDIS_MNEMONIC_MOVZX) || walk_.is(ZYDIS_MNEMONIC_MOVSX)) {
      narrowed_ = from.size;
    }
    forget_bias(to);
    holders_.add(to);
    // Outside of the frame, where somebody else will look at it.
    stored_ = stored_ || (to.type == ZYDIS_OPERAND_TYPE_MEMORY && !Holders::may_hold(to));
    return true;
  }

  // lea edx, [rax + 1]: mostly the first half of a range check.
  bool add_constant(const ZydisDecodedOperand& to, const ZydisDecodedOperand& sum) {
    Gpr base;
    if (sum.mem.index == ZYDIS_REGISTER_NONE && gpr_of(sum.mem.base, base) && holders_.has(base)) {
      holders_.remove(to);
      remember_bias(to, sum.mem.disp.value);
      return true;
    }
    return holders_.is_dereferenced(sum) ? finish(Use::trusted) : overwrite(to);
  }

  // add eax, 1: its flags compare with -1, its result may be range-checked.
  bool counted(const ZydisDecodedOperand& operand, i64 amount) {
    holders_.remove(operand);
    remember_bias(operand, amount);
    comparison_ = {Comparison::constant, operand.size, 0, amount};
    return true;
  }

  bool write_zero(const ZydisDecodedOperand& operand) {
    comparison_ = {};
    return overwrite(operand);
  }

  // Any other instruction: reading the value ends the walk, writing over it drops a holder. Saving
  // a register is no use of it.
  bool any() {
    if (walk_.instruction.cpu_flags != nullptr && walk_.instruction.cpu_flags->modified != 0) {
      comparison_ = {};
    }
    for (unsigned i = 0; i < walk_.instruction.operand_count; ++i) {
      const auto& operand = walk_.operands[i];
      const bool read = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
      if (holders_.is_dereferenced(operand) ||
          (read && holders_.holds(operand) && !walk_.is(ZYDIS_MNEMONIC_PUSH))) {
        return finish(shifts_out_sign() ? Use::sign : Use::trusted);
      }
    }
    for (unsigned i = 0; i < walk_.instruction.operand_count; ++i) {
      if ((walk_.operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
          !overwrite(walk_.operands[i])) {
        return false;
      }
    }
    return true;
  }

  bool shifts_out_sign() const {
    const auto& count = walk_.operands[1];
    return (walk_.is(ZYDIS_MNEMONIC_SHR) || walk_.is(ZYDIS_MNEMONIC_SAR)) &&
           count.type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
           count.imm.value.u + 1 == walk_.operands[0].size;
  }

  bool overwrite(const ZydisDecodedOperand& operand) {
    holders_.remove(operand);
    forget_bias(operand);
    return !holders_.empty() || bias_ != 0 || comparison_.kind != Comparison::none ||
           finish(Use::unused);
  }

  bool is_biased(const ZydisDecodedOperand& operand) const {
    Gpr gpr;
    return bias_ != 0 && operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           gpr_of(operand.reg.value, gpr) && gpr == biased_;
  }

  void remember_bias(const ZydisDecodedOperand& operand, i64 amount) {
    Gpr gpr;
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(operand.reg.value, gpr)) {
      biased_ = gpr;
      bias_ = amount;
    }
  }

  void forget_bias(const ZydisDecodedOperand& operand) {
    if (is_biased(operand)) {
      bias_ = 0;
    }
  }

  const ImageView& image_;
  CodeWalk walk_;
  u64 start_;
  Holders holders_ = Holders::only(rax);
  Comparison comparison_;
  Gpr biased_ = rax;  // holds the value + bias_, where bias_ is not 0
  i64 bias_ = 0;
  bool stored_ = false;     // outside of the frame
  unsigned narrowed_ = 0;   // bits kept by a movzx or movsx; 0: all
  bool candidate_ = false;  // result_ is set; a comparison with -1 would still replace it
  u64 zero_side_ = 0;       // where an earlier branch goes when the value is 0
  CallerUse result_{Use::unknown, 0};
};

}  // namespace

CallerUse find_caller_use(u64 return_address, const ImageView& image) {
  return Follower(return_address, image).run();
}

}  // namespace selfheal::recover
