#include "lib/recover/comparison.h"

namespace selfheal::recover {
namespace {

// Compilers write `x >= low && x <= high`, and its opposite, as `(unsigned)(x - low) <= high -
// low`.
bool in_range(const Comparison& comparison, Condition condition, i64 value) {
  const u64 mask = comparison.width >= 64 ? ~u64{0} : (u64{1} << comparison.width) - 1;
  const u64 left = static_cast<u64>(value + comparison.bias) & mask;
  const u64 right = static_cast<u64>(comparison.with) & mask;
  return condition == Condition::below ? left < right : left <= right;
}

CallerUse range_check(const Comparison& comparison, Condition condition) {
  constexpr i64 an_error_number = 14;
  if (comparison.bias == 0 && (comparison.with == -4096 || comparison.with == -4095)) {
    return {Use::syscall_error, 0};
  }
  const bool zero = in_range(comparison, condition, 0);
  const bool accepts_minus_one = in_range(comparison, condition, -1) == zero;
  return {accepts_minus_one && in_range(comparison, condition, an_error_number) != zero
              ? Use::not_in_range
              : Use::sign,
          0};
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
