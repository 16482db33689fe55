#include "emulator/changing_code.h"

#include "emulator/block_cache.h"
#include "emulator/guard.h"
#include "emulator/handlers.h"
#include "emulator/interpreter.h"

namespace selfheal::emulator {
namespace {

[[gnu::cold, gnu::noinline]] const Op* find_again(Thread& t, const Op& op,
                                                  const ChangingCode& code) {
  machine_of(t).instructions -= code.block->count;
  t.guest.rip = op.rip;
  const Block* block = find_version(t, op.rip);
  if (block == nullptr) {
    return nullptr;
  }
  machine_of(t).instructions += block->count;
  return block->ops;
}

}  // namespace

void set_bytes(ChangingCode& code, const u8* bytes, u32 size) {
  code.size = size;
  for (unsigned word = 0; word < changing_size / 8; ++word) {
    code.bytes[word] = code.masks[word] = 0;
    for (unsigned i = 0; i < 8 && word * 8 + i < size; ++i) {
      code.bytes[word] |= u64{bytes[word * 8 + i]} << 8 * i;
      code.masks[word] |= u64{0xff} << 8 * i;
    }
  }
}

bool is_as_decoded(const ChangingCode& code, u64 rip) {
  if ((rip & (page_size - 1)) <= page_size - changing_size) [[likely]] {
    u64 different = 0;
    for (unsigned word = 0; word * 8 < code.size; ++word) {
      different |= (raw_load<u64>(rip + 8 * word) ^ code.bytes[word]) & code.masks[word];
    }
    return different == 0;
  }
  for (unsigned i = 0; i < code.size; ++i) {  // the next page may not be there
    if (raw_load<u8>(rip + i) != static_cast<u8>(code.bytes[i / 8] >> 8 * (i % 8))) {
      return false;
    }
  }
  return true;
}

void note_protection_call(const Thread& t) {
  if (config().protection_changed != nullptr) {
    const VectorScope keep;
    const u64 begin = t.guest.gpr[rdi];
    config().protection_changed(begin, begin + page_up(t.guest.gpr[rsi]));
  }
}

const ChangingCode* changing_code_of(const Block& block) {
  return block.ops[0].handler == do_verify_code
             ? pointer_to<const ChangingCode>(block.ops[0].immediate)
             : nullptr;
}

const Op* do_verify_code(Thread& t, const Op& op) {
  const ChangingCode& code = *pointer_to<const ChangingCode>(op.immediate);
  if (code.generation.load(std::memory_order_relaxed) == code_generation() &&
      is_as_decoded(code, op.rip)) [[likely]] {
    return &op + 1;
  }
  return find_again(t, op, code);
}

}  // namespace selfheal::emulator
