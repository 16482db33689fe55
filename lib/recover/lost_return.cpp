#include "lib/recover/lost_return.h"

#include "lib/image/cfi.h"
#include "lib/image/module.h"
#include "lib/recover/cfi_row.h"
#include "lib/recover/code_walk.h"

namespace selfheal::recover {
namespace {

constexpr u64 reach = 2048;  // bytes of dead stack looked at
constexpr unsigned dwarf_rbp = 6;
constexpr unsigned longest_way = 64;  // instructions from a call to the ret behind it

__attribute__((no_sanitize("address"))) u64 word_at(u64 address) {
  return *pointer_to<const volatile u64>(address);
}

// In the function that `return_address` leads into, when rsp is `sp`: would its frame end at `cfa`?
// A frame pointer is the callee's to restore, and smashed: what it was follows from the CFA.
bool frame_ends_at(u64 return_address, u64 sp, u64 cfa) {
  image::Module module;
  image::FrameEntry entry;
  Row row;
  const u64 address = return_address - 1;
  if (!image::locate_module(address, module) || !module.executable(address) ||
      !image::frame_entry_of(module, address, entry) || !find_row(module, entry, address, row) ||
      row.cfa_by_expression) {
    return false;
  }
  return row.cfa_register == dwarf_rsp ? sp + row.cfa_offset == cfa
                                       : row.cfa_register == dwarf_rbp && row.cfa_offset == 16;
}

// The ret that is reached straight from `address`; 0: none.
u64 return_behind(u64 address, const ImageView& image) {
  CodeWalk walk(image, longest_way);
  while (walk.fetch(address)) {
    if (walk.is(ZYDIS_MNEMONIC_RET)) {
      return address;
    }
    const bool jumps = walk.category() == ZYDIS_CATEGORY_UNCOND_BR;
    address = jumps ? walk.target() : walk.next();
  }
  return 0;
}

}  // namespace

bool find_lost_return(const Registers& now, const ImageView& image, Frame& left) {
  const u64 cfa = now.gpr[rsp];
  if (cfa % 8 != 0 || word_at(cfa - 8) != now.rip) {
    return false;
  }
  for (u64 at = cfa - 16; at > cfa - reach; at -= 8) {
    const u64 candidate = word_at(at);
    if (!follows_a_call(candidate) || !frame_ends_at(candidate, at + 8, cfa)) {
      continue;
    }
    const u64 ret = return_behind(candidate, image);
    left.registers = now;
    left.registers.rip = ret != 0 ? ret : candidate;
    left.registers.gpr[rsp] = cfa - 8;
    left.known = 1U << rsp;
    left.exact = ret != 0;
    return true;
  }
  return false;
}

}  // namespace selfheal::recover
