// A function that fails by throwing: what it throws, and whether a healed call of it is to throw,
// too.
#pragma once

#include "lib/recover/choice.h"

namespace selfheal::recover {

// The exception whose std::type_info is at `type`, thrown at `call` in the function itself. False:
// it would not leave the function, or there is nothing that could be thrown for it.
bool find_own_throw(u64 type, u64 call, const ImageView& image, OwnThrow& out);

// Adds to `value`, which was chosen without it, the exception that is to be thrown instead: the
// function throws one itself, one of its callers catches it, and the value is not known as well
// to be taken for failure. `stack`: the return addresses, all there are.
void throw_instead(const OwnExits& own, std::span<const u64> stack, const ImageView& image,
                   Return& value);

}  // namespace selfheal::recover
