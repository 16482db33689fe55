#include "lib/recover/comparison.h"

namespace selfheal::recover {
namespace {

// Compilers write `x >= low && x <= high` as `(unsigned)(x - low) <= high - low`.
CallerUse range_check(const Comparison& comparison, Condition condition) {
  if (comparison.bias == 0 && comparison.with >= -4096 && comparison.with < -1) {
    return {Use::syscall_error, 0};
  }
  const i64 low = -comparison.bias;
  const i64 high = low + comparison.with - (condition == Condition::below ? 1 : 0);
  return {low <= -1 && high >= 0 ? Use::not_in_range : Use::sign, 0};
}

}  // namespace

Condition condition_of(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_JZ:
    case ZYDIS_MNEMONIC_SETZ:
    case ZYDIS_MNEMONIC_CMOVZ:
      return Condition::equal;
    case ZYDIS_MNEMONIC_JNZ:
    case ZYDIS_MNEMONIC_SETNZ:
    case ZYDIS_MNEMONIC_CMOVNZ:
      return Condition::not_equal;
    case ZYDIS_MNEMONIC_JB:
    case ZYDIS_MNEMONIC_JNB:
    case ZYDIS_MNEMONIC_SETB:
    case ZYDIS_MNEMONIC_SETNB:
    case ZYDIS_MNEMONIC_CMOVB:
    case ZYDIS_MNEMONIC_CMOVNB:
      return Condition::below;
    case ZYDIS_MNEMONIC_JBE:
    case ZYDIS_MNEMONIC_JNBE:
    case ZYDIS_MNEMONIC_SETBE:
    case ZYDIS_MNEMONIC_SETNBE:
    case ZYDIS_MNEMONIC_CMOVBE:
    case ZYDIS_MNEMONIC_CMOVNBE:
      return Condition::below_or_equal;
    default:
      return Condition::is_signed;
  }
}

bool settle(const Comparison& comparison, Condition condition, CallerUse& use) {
  const bool equality = condition == Condition::equal || condition == Condition::not_equal;
  if (comparison.kind == Comparison::bits || comparison.width == 8) {
    use = {Use::boolean, 0};
  } else if (comparison.kind == Comparison::other) {
    // Two numbers: a count of -1 is none of those asked for. Two full registers compared for
    // equality may be pointers.
    use = {equality && comparison.width == 64 ? Use::trusted : Use::sign, 0};
  } else if (condition == Condition::is_signed) {
    use = {Use::sign, 0};
  } else if (!equality) {
    use = range_check(comparison, condition);
  } else if (const i64 constant = comparison.with - comparison.bias; constant != 0) {
    use = {Use::compared, constant};
    return constant == -1;
  } else if (comparison.width == 64) {
    use = {Use::null, 0};
  } else {
    return false;
  }
  return true;
}

}  // namespace selfheal::recover
