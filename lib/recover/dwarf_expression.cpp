#include "lib/recover/dwarf_expression.h"

#include "lib/image/reader.h"
#include "lib/recover/cfi_row.h"

namespace selfheal::recover {
namespace {

// DWARF 5, table 7.9, as far as frame information uses it.
enum : u8 {
  op_addr = 0x03,
  op_deref = 0x06,
  op_const1u = 0x08,
  op_const1s = 0x09,
  op_const2u = 0x0a,
  op_const2s = 0x0b,
  op_const4u = 0x0c,
  op_const4s = 0x0d,
  op_const8u = 0x0e,
  op_const8s = 0x0f,
  op_constu = 0x10,
  op_consts = 0x11,
  op_dup = 0x12,
  op_drop = 0x13,
  op_over = 0x14,
  op_pick = 0x15,
  op_swap = 0x16,
  op_and = 0x1a,
  op_minus = 0x1c,
  op_mul = 0x1e,
  op_neg = 0x1f,
  op_not = 0x20,
  op_or = 0x21,
  op_plus = 0x22,
  op_plus_uconst = 0x23,
  op_shl = 0x24,
  op_shr = 0x25,
  op_shra = 0x26,
  op_xor = 0x27,
  op_bra = 0x28,
  op_eq = 0x29,
  op_ge = 0x2a,
  op_gt = 0x2b,
  op_le = 0x2c,
  op_lt = 0x2d,
  op_ne = 0x2e,
  op_skip = 0x2f,
  op_lit0 = 0x30,
  op_lit31 = 0x4f,
  op_breg0 = 0x70,
  op_breg31 = 0x8f,
  op_bregx = 0x92,
  op_nop = 0x96,
};

constexpr unsigned stack_depth = 16;
constexpr unsigned max_steps = 256;  // a damaged branch may loop

class Evaluator {
 public:
  Evaluator(const u64* registers, const StackBounds& bounds)
      : registers_(registers), bounds_(bounds) {}

  void push(u64 value) {
    if (depth_ == stack_depth) {
      ok_ = false;
      return;
    }
    stack_[depth_++] = value;
  }

  bool run(image::Reader& reader, u64 begin, u64 end, u64& result) {
    for (unsigned steps = 0; ok_ && reader.ok() && reader.at() < end; ++steps) {
      if (steps == max_steps) {
        return false;
      }
      operation(reader.read<u8>(), reader);
      if (reader.at() < begin) {
        return false;
      }
    }
    result = pop();
    return ok_ && reader.ok();
  }

 private:
  u64 pop() {
    if (depth_ == 0) {
      ok_ = false;
      return 0;
    }
    return stack_[--depth_];
  }

  void push_signed(i64 value) { push(static_cast<u64>(value)); }

  void push_register(u64 number, i64 offset) {
    if (number >= dwarf_register_count) {
      ok_ = false;
      return;
    }
    push(registers_[number] + static_cast<u64>(offset));
  }

  void pick(unsigned index) {
    if (index >= depth_) {
      ok_ = false;
      return;
    }
    push(stack_[depth_ - 1 - index]);
  }

  void operation(u8 op, image::Reader& reader) {
    if (op >= op_lit0 && op <= op_lit31) {
      return push(op - op_lit0);
    }
    if (op >= op_breg0 && op <= op_breg31) {
      return push_register(op - op_breg0, reader.sleb());
    }
    switch (op) {
      case op_nop:
        return;
      case op_addr:
      case op_const8u:
      case op_const8s:
        return push(reader.read<u64>());
      case op_const1u:
        return push(reader.read<u8>());
      case op_const1s:
        return push_signed(reader.read<i8>());
      case op_const2u:
        return push(reader.read<u16>());
      case op_const2s:
        return push_signed(reader.read<i16>());
      case op_const4u:
        return push(reader.read<u32>());
      case op_const4s:
        return push_signed(reader.read<i32>());
      case op_constu:
        return push(reader.uleb());
      case op_consts:
        return push_signed(reader.sleb());
      case op_bregx: {
        const u64 number = reader.uleb();
        return push_register(number, reader.sleb());
      }
      case op_plus_uconst:
        return push(pop() + reader.uleb());
      case op_dup:
        return pick(0);
      case op_over:
        return pick(1);
      case op_pick:
        return pick(reader.read<u8>());
      case op_drop:
        pop();
        return;
      case op_neg:
        return push(-pop());
      case op_not:
        return push(~pop());
      case op_deref: {
        u64 value = 0;
        ok_ = load(bounds_, pop(), value) && ok_;
        return push(value);
      }
      case op_skip: {
        const i16 distance = reader.read<i16>();
        return reader.seek(reader.at() + static_cast<u64>(i64{distance}));
      }
      case op_bra: {
        const i16 distance = reader.read<i16>();
        return pop() != 0 ? reader.seek(reader.at() + static_cast<u64>(i64{distance})) : void();
      }
      default:
        return binary(op);
    }
  }

  void binary(u8 op) {
    const u64 b = pop();
    const u64 a = pop();
    const i64 sa = static_cast<i64>(a);
    const i64 sb = static_cast<i64>(b);
    switch (op) {
      case op_swap:
        push(b);
        return push(a);
      case op_and:
        return push(a & b);
      case op_or:
        return push(a | b);
      case op_xor:
        return push(a ^ b);
      case op_plus:
        return push(a + b);
      case op_minus:
        return push(a - b);
      case op_mul:
        return push(a * b);
      case op_shl:
        return push(b < 64 ? a << b : 0);
      case op_shr:
        return push(b < 64 ? a >> b : 0);
      case op_shra:
        return push_signed(sa >> (b < 64 ? b : 63));
      case op_eq:
        return push(a == b);
      case op_ne:
        return push(a != b);
      case op_ge:
        return push(sa >= sb);
      case op_gt:
        return push(sa > sb);
      case op_le:
        return push(sa <= sb);
      case op_lt:
        return push(sa < sb);
      default:
        ok_ = false;
    }
  }

  const u64* registers_;
  const StackBounds& bounds_;
  u64 stack_[stack_depth];
  unsigned depth_ = 0;
  bool ok_ = true;
};

}  // namespace

bool evaluate(const image::Module& module, u64 address, const u64* registers,
              const StackBounds& bounds, const u64* pushed, u64& result) {
  image::Reader reader(module, address);
  const u64 length = reader.uleb();
  if (!reader.ok() || length > reader.left()) {
    return false;
  }
  Evaluator evaluator(registers, bounds);
  if (pushed != nullptr) {
    evaluator.push(*pushed);
  }
  const u64 begin = reader.at();
  return evaluator.run(reader, begin, begin + length, result);
}

}  // namespace selfheal::recover
