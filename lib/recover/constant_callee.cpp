#include "lib/recover/constant_callee.h"

#include "lib/image/symbols.h"
#include "lib/recover/holders.h"

namespace selfheal::recover {
namespace {

// lea rax, [rip + x]; mov eax, x; xor eax, eax
bool sets_rax(const CodeWalk& walk, u64& value) {
  const auto& to = walk.operands[0];
  const auto& from = walk.operands[1];
  Gpr gpr = rcx;
  if (walk.instruction.operand_count_visible != 2 || to.type != ZYDIS_OPERAND_TYPE_REGISTER ||
      !gpr_of(to.reg.value, gpr) || gpr != rax || to.size < 32) {
    return false;
  }
  if (walk.is(ZYDIS_MNEMONIC_LEA) && from.mem.base == ZYDIS_REGISTER_RIP) {
    value = walk.next() + static_cast<u64>(from.mem.disp.value);
    return true;
  }
  if (walk.is(ZYDIS_MNEMONIC_MOV) && from.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    value = to.size == 32 ? static_cast<u64>(i64{static_cast<i32>(from.imm.value.s)})
                          : from.imm.value.u;
    return true;
  }
  value = 0;
  return walk.is(ZYDIS_MNEMONIC_XOR) && from.type == ZYDIS_OPERAND_TYPE_REGISTER &&
         from.reg.value == to.reg.value;
}

// std::generic_category() and its kin, of any library.
bool names_category(std::string_view name) {
  return name.starts_with("_Z") && name.ends_with("categoryEv");
}

}  // namespace

bool returns_constant(const ImageView& image, u64 entry, u64& value) {
  constexpr unsigned longest = 3;
  CodeWalk walk(image, longest);
  bool known = false;
  for (u64 at = entry; walk.fetch(at); at = walk.next()) {
    if (walk.category() == ZYDIS_CATEGORY_RET) {
      return known;
    }
    if (walk.is(ZYDIS_MNEMONIC_ENDBR64)) {
      continue;
    }
    if (known || !sets_rax(walk, value)) {
      return false;
    }
    known = true;
  }
  return false;
}

bool import_returns_constant(const ImageView& image, const char* name, u64& value) {
  image::Symbol symbol;
  return names_category(name) && image::find_definition(name, symbol) &&
         returns_constant(image, symbol.address, value);
}

}  // namespace selfheal::recover
