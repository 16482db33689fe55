#include "lib/patch/emitter.h"

namespace selfheal::patch {
namespace {

bool fits_rel32(u64 from, u64 to) {
  const i64 distance = static_cast<i64>(to - from);
  return distance == static_cast<i32>(distance);
}

constexpr u8 far_jump_size = 14;  // jmp *0(%rip); .quad target

}  // namespace

void Emitter::jump(u64 target) {
  if (fits_rel32(here() + 5, target)) {
    byte(0xe9);
    number(target - (here() + 4), 4);
    return;
  }
  byte(0xff);
  byte(0x25);
  number(0, 4);
  number(target, 8);
}

void Emitter::jump_if(u8 condition, u64 target) {
  if (fits_rel32(here() + 6, target)) {
    byte(0x0f);
    byte(static_cast<u8>(0x80 | condition));
    number(target - (here() + 4), 4);
    return;
  }
  byte(static_cast<u8>(0x70 | (condition ^ 1)));  // the opposite condition skips the far jump
  byte(far_jump_size);
  jump(target);
}

void Emitter::push(u64 value) {
  byte(0x68);  // push imm32, sign-extended; then the upper half is set
  number(value, 4);
  const u8 store_upper[] = {0xc7, 0x44, 0x24, 0x04};  // movl imm32, 4(%rsp)
  bytes(store_upper, sizeof store_upper);
  number(value >> 32, 4);
}

}  // namespace selfheal::patch
