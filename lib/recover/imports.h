// Which function of another module a call goes to, in programs without symbols: by the word in the
// linkage table that it goes through.
//
//   call  foo@plt ───►  foo@plt:  endbr64              call *slot(%rip)      (-fno-plt)
//                                 jmp *slot(%rip)
#pragma once

#include "lib/recover/code_walk.h"

namespace selfheal::recover {

// The word by which the code at `target` jumps on (a PLT entry); 0 when there is no such jump.
u64 slot_of_stub(const ImageView& image, u64 target);

// The name of the function that a PLT entry at `target` jumps to; null: it is none. `caller`: an
// address in the module.
const char* import_behind_stub(const ImageView& image, u64 target, u64 caller);

// The same of the function that the call or jump last fetched goes to, where another module has it;
// null: none. Signal-safe, bounded: the module's relocations are searched.
const char* imported_callee(const ImageView& image, const CodeWalk& walk, u64 caller);

// Where that function is, as far as the dynamic linker has looked it up; 0: it has not, or the call
// goes to none. Signal-safe.
u64 linked_callee(const ImageView& image, const CodeWalk& walk);

}  // namespace selfheal::recover
