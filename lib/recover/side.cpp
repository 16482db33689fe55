#include "lib/recover/side.h"

#include "lib/recover/code_walk.h"
#include "lib/recover/imports.h"

namespace selfheal::recover {
namespace {

constexpr unsigned early_return = 24;  // instructions

bool part_at(const ImageView& image, u64 address, image::Function& part) {
  image::Module module;
  return image.find_module(image.context, address, module) &&
         image.find_part(image.context, module, address, part);
}

// What rax is at a return, as far as a straight walk can tell.
class Result {
 public:
  explicit Result(const Holders& holders) : holders_(holders) {}

  // Follows one instruction's effect on rax and on the holders.
  void execute(const CodeWalk& walk) {
    const auto& to = walk.operands[0];
    const auto& from = walk.operands[1];
    const bool copies = walk.is(ZYDIS_MNEMONIC_MOV) || walk.is(ZYDIS_MNEMONIC_MOVSXD);
    if (walk.is(ZYDIS_MNEMONIC_CDQE)) {
      return;
    }
    if (copies && holders_.holds(from)) {
      holders_.add(to);
      constant_known_ = constant_known_ && !is_rax(to);
      return;
    }
    for (unsigned i = 0; i < walk.instruction.operand_count; ++i) {
      if ((walk.operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
        holders_.remove(walk.operands[i]);
        constant_known_ = constant_known_ && !is_rax(walk.operands[i]);
      }
    }
    if (!is_rax(to)) {
      return;
    }
    const bool same = from.type == ZYDIS_OPERAND_TYPE_REGISTER && from.reg.value == to.reg.value;
    const bool immediate = from.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    if (walk.is(ZYDIS_MNEMONIC_XOR) && same) {
      set_constant(0);
    } else if (walk.is(ZYDIS_MNEMONIC_MOV) && immediate) {
      set_constant(to.size == 32 ? static_cast<i32>(from.imm.value.s) : from.imm.value.s);
    } else if (walk.is(ZYDIS_MNEMONIC_OR) && immediate && from.imm.value.s == -1) {
      set_constant(-1);
    }
  }

  void call() {
    holders_.call();
    constant_known_ = false;
    called_ = true;
  }

  int score(bool zero) const { return of_result(zero) + (called_ ? 0 : 1); }

 private:
  int of_result(bool zero) const {
    if (!constant_known_) {
      return !holders_.has(rax) ? 2 : zero ? 1 : 4;
    }
    if (constant_ < 0) {
      return 4;
    }
    return constant_ == 0 ? 1 : constant_ == 1 ? 0 : 2;
  }

  static bool is_rax(const ZydisDecodedOperand& operand) {
    Gpr gpr;
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_of(operand.reg.value, gpr) &&
           gpr == rax;
  }

  void set_constant(i64 value) {
    constant_known_ = true;
    constant_ = value;
  }

  Holders holders_;
  bool called_ = false;
  bool constant_known_ = false;
  i64 constant_ = 0;
};

int return_score(const ImageView& image, u64 at, const Holders& holders, bool zero) {
  CodeWalk walk(image, early_return);
  Result result(holders);
  while (walk.fetch(at)) {
    switch (walk.category()) {
      case ZYDIS_CATEGORY_RET:
        return result.score(zero);
      case ZYDIS_CATEGORY_COND_BR:
        return 0;  // goes on working
      case ZYDIS_CATEGORY_UNCOND_BR:
        if (walk.target() == 0) {
          return 0;
        }
        at = walk.target();
        continue;
      case ZYDIS_CATEGORY_CALL:
        result.call();
        break;
      default:
        result.execute(walk);
        break;
    }
    at = walk.next();
  }
  return 0;
}

}  // namespace

bool is_tail_call(const ImageView& image, u64 from, u64 to) {
  image::Function here;
  image::Function there;
  if (!part_at(image, from, here) || !part_at(image, to, there) || there.start == here.start) {
    return false;
  }
  // One frame description speaks of all PLT entries, and begins as a split-off part's.
  return slot_of_stub(image, to) != 0 || (there.start == to && !there.cold);
}

bool calls_again(const ImageView& image, u64 return_address, u64 at) {
  constexpr unsigned most_ways = 4;
  constexpr unsigned longest_way = 16;  // instructions
  u64 ways[most_ways] = {at};
  unsigned count = 1;
  for (unsigned i = 0; i < count; ++i) {
    CodeWalk walk(image, longest_way);
    for (u64 here = ways[i]; walk.fetch(here);) {
      const auto category = walk.category();
      if (category == ZYDIS_CATEGORY_CALL && walk.next() == return_address) {
        return walk.target() == 0;
      }
      if (category == ZYDIS_CATEGORY_CALL || category == ZYDIS_CATEGORY_RET) {
        break;
      }
      if (category == ZYDIS_CATEGORY_COND_BR && count < most_ways) {
        ways[count++] = walk.target();
      }
      here = category == ZYDIS_CATEGORY_UNCOND_BR ? walk.target() : walk.next();
    }
  }
  return false;
}

int failure_score(const ImageView& image, u64 caller, u64 at, Holders holders, bool zero) {
  image::Function here;
  image::Function there;
  const bool moved = part_at(image, caller, here) && part_at(image, at, there) &&
                     there.start != here.start && !here.cold;
  return (moved ? 4 : 0) + return_score(image, at, holders, zero);
}

}  // namespace selfheal::recover
