#include "lib/recover/imports.h"

#include "lib/image/symbols.h"

namespace selfheal::recover {
namespace {

const char* name_of_slot(const ImageView& image, u64 slot, u64 caller) {
  image::Module module;
  return slot != 0 && image.find_module(image.context, caller, module)
             ? image::import_at(module, slot)
             : nullptr;
}

}  // namespace

u64 slot_of_stub(const ImageView& image, u64 target) {
  constexpr unsigned longest_stub = 2;  // endbr64, jmp *slot(%rip)
  CodeWalk walk(image, longest_stub);
  for (u64 at = target; walk.fetch(at); at = walk.next()) {
    if (walk.is(ZYDIS_MNEMONIC_JMP) && walk.through_slot() != 0) {
      return walk.through_slot();
    }
    if (!walk.is(ZYDIS_MNEMONIC_ENDBR64)) {
      return 0;
    }
  }
  return 0;
}

const char* import_behind_stub(const ImageView& image, u64 target, u64 caller) {
  return name_of_slot(image, slot_of_stub(image, target), caller);
}

const char* imported_callee(const ImageView& image, const CodeWalk& walk, u64 caller) {
  return walk.target() != 0 ? import_behind_stub(image, walk.target(), caller)
                            : name_of_slot(image, walk.through_slot(), caller);
}

u64 linked_callee(const ImageView& image, const CodeWalk& walk) {
  const u64 slot = walk.target() != 0 ? slot_of_stub(image, walk.target()) : walk.through_slot();
  u64 entry = 0;
  image::Module module;
  image::Function callee;
  const bool known = slot != 0 &&
                     image.read_code(image.context, slot, reinterpret_cast<u8*>(&entry),
                                     sizeof entry) == sizeof entry &&
                     find_owner(image, entry, module, callee);
  return known && callee.start == entry ? entry : 0;  // else it is the stub's second half
}

}  // namespace selfheal::recover
