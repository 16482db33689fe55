#include "lib/recover/on_paper_internal.h"

namespace selfheal::recover {
namespace {

// Without its taint; a symbol where nothing can be told.
Known result_of(const CodeWalk& walk, const Known& a, const Known& b) {
  const auto mnemonic = walk.instruction.mnemonic;
  const unsigned width = walk.operands[0].size;
  const bool both = a.is_constant() && b.is_constant();
  Known out{};
  const auto set = [&](i64 value) { out = constant_of(narrowed(value, width)); };
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_DEC:
      if (b.is_constant() && a.kind != Known::symbol) {
        const bool adds = mnemonic == ZYDIS_MNEMONIC_ADD || mnemonic == ZYDIS_MNEMONIC_INC;
        out = a;
        out.number = static_cast<i64>(
            static_cast<u64>(a.number) +
            (adds ? static_cast<u64>(b.number) : u64{0} - static_cast<u64>(b.number)));
      }
      break;
    case ZYDIS_MNEMONIC_XOR:
      if (same_registers(walk)) {
        set(0);
      } else if (both) {
        set(a.number ^ b.number);
      }
      break;
    case ZYDIS_MNEMONIC_AND:
      if (b.is_constant() && b.number == 0) {
        set(0);
      } else if (same_registers(walk)) {
        out = a;
      } else if (both) {
        set(a.number & b.number);
      }
      break;
    case ZYDIS_MNEMONIC_OR:
      if (b.is_constant() && b.number == -1) {
        set(-1);
      } else if (same_registers(walk)) {
        out = a;
      } else if (both) {
        set(a.number | b.number);
      }
      break;
    case ZYDIS_MNEMONIC_NEG:
      if (a.is_constant()) {
        set(-a.number);
      }
      break;
    case ZYDIS_MNEMONIC_NOT:
      if (a.is_constant()) {
        set(~a.number);
      }
      break;
    case ZYDIS_MNEMONIC_SHL:
      if (both) {
        set(static_cast<i64>(masked(a.number, width) << (b.number & 63)));
      }
      break;
    case ZYDIS_MNEMONIC_SHR:
      if (both) {
        set(static_cast<i64>(masked(a.number, width) >> (b.number & 63)));
      }
      break;
    case ZYDIS_MNEMONIC_SAR:
      if (both) {
        set(narrowed(a.number, width) >> (b.number & 63));
      }
      break;
    default:
      break;
  }
  return out;
}

}  // namespace

// Results that are told from their operands; flags from results.
void Paper::arithmetic(const CodeWalk& walk, const ImageView& image) {
  const auto* const o = walk.operands;
  const bool unary = walk.instruction.operand_count_visible == 1;
  const Known a = value_of(o[0], walk, image);
  const Known b = unary ? constant_of(1) : value_of(o[1], walk, image);
  const auto mnemonic = walk.instruction.mnemonic;
  const bool both = a.is_constant() && b.is_constant();
  Known out = spreads_sign(walk) && has_known_sign(a) ? spread_sign(walk, negative_)
                                                      : result_of(walk, a, b);
  out.tainted = a.tainted || (!unary && b.tainted);
  if (mnemonic == ZYDIS_MNEMONIC_NOT) {
    write(o[0], walk, out);
    return;
  }
  width_ = o[0].size;
  flags_ = Flags::result;
  left_ = out;
  right_ = constant_of(0);
  if (both && (mnemonic == ZYDIS_MNEMONIC_SUB || mnemonic == ZYDIS_MNEMONIC_DEC)) {
    flags_ = Flags::difference;
    left_ = a;
    right_ = b;
  }
  write(o[0], walk, out);
}

}  // namespace selfheal::recover
