// What walking all paths leaves out when its budget is spent. From each instruction of the function
// that puts a constant into a register, a straight walk:
//
//        mov  ebx, 1           <- holders: rbx
//        lea  rdi, [rip + text]
//        call log                 (rbx is the caller's own: survives)
//     1: mov  eax, ebx            holders: rbx, rax
//        pop  rbx
//        ret                   -> 1 is returned
//
// Unconditional jumps are followed and conditional ones are not; a walk ends where nothing holds
// the constant any more. `setcc` makes both 0 and 1.
#include "lib/recover/straight_exits.h"

#include "lib/recover/code_walk.h"
#include "lib/recover/holders.h"

namespace selfheal::recover {
namespace {

constexpr unsigned longest_function = 4096;  // instructions
constexpr unsigned longest_walk = 64;        // -fzero-call-used-regs makes epilogues of thirty
constexpr unsigned most_walks = 128;

// True when a register gets a constant: `value`, or any truth value.
bool sets_constant(const CodeWalk& walk, Gpr& gpr, i64& value, bool& any_truth) {
  const auto& to = walk.operands[0];
  const auto& from = walk.operands[1];
  if (walk.instruction.operand_count == 0 || to.type != ZYDIS_OPERAND_TYPE_REGISTER ||
      !gpr_of(to.reg.value, gpr)) {
    return false;
  }
  any_truth = walk.category() == ZYDIS_CATEGORY_SETCC;
  value = 0;
  if (any_truth) {
    return true;
  }
  if (walk.is(ZYDIS_MNEMONIC_XOR)) {
    return from.type == ZYDIS_OPERAND_TYPE_REGISTER && from.reg.value == to.reg.value;
  }
  value = to.size == 32 ? static_cast<i32>(from.imm.value.s) : from.imm.value.s;
  return from.type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
         (walk.is(ZYDIS_MNEMONIC_MOV) || (walk.is(ZYDIS_MNEMONIC_OR) && value == -1));
}

// Does what `gpr` holds behind the instruction at `at` come to be returned?
bool reaches_return(u64 at, Gpr gpr, const ImageView& image) {
  CodeWalk walk(image, longest_walk);
  Holders holders = Holders::only(gpr);
  while (!holders.empty() && walk.fetch(at)) {
    at = walk.next();
    switch (walk.category()) {
      case ZYDIS_CATEGORY_RET:
        return holders.has(rax);
      case ZYDIS_CATEGORY_CALL:
        holders.call();
        continue;
      case ZYDIS_CATEGORY_UNCOND_BR:
        if (walk.target() == 0) {
          return false;
        }
        at = walk.target();
        continue;
      default:
        break;
    }
    const bool copies = (walk.is(ZYDIS_MNEMONIC_MOV) || walk.is(ZYDIS_MNEMONIC_MOVZX) ||
                         walk.is(ZYDIS_MNEMONIC_MOVSXD)) &&
                        holders.holds(walk.operands[1]);
    if (copies) {
      holders.add(walk.operands[0]);
      continue;
    }
    for (unsigned i = 0; i < walk.instruction.operand_count; ++i) {
      if ((walk.operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
        holders.remove(walk.operands[i]);
      }
    }
  }
  return false;
}

}  // namespace

void add_straight_exits(const image::Function& function, const ImageView& image, OwnExits& out) {
  CodeWalk walk(image, longest_function);
  unsigned walks = 0;
  for (u64 at = function.start; at < function.end() && walk.fetch(at); at = walk.next()) {
    Gpr gpr = rax;
    i64 value = 0;
    bool any_truth = false;
    if (!sets_constant(walk, gpr, value, any_truth) || walks == most_walks) {
      continue;
    }
    ++walks;
    if (reaches_return(walk.next(), gpr, image)) {
      if (any_truth) {
        out.add_constant(1);
      }
      out.add_constant(value);
    }
  }
}

}  // namespace selfheal::recover
