// Is a function one of those that end in abort(), exit() or an endless loop, and never return:
// die(), panic(), assertion_failed()? A caller of such a one has no code behind its call, so there
// is nowhere to return an error to.
#pragma once

#include "lib/recover/image_view.h"

namespace selfheal::recover {

// True when no instruction of it is a return or a jump to another function. One pass over its
// bytes; false when they do not decode, or are very many. Signal-safe when `image` is.
bool never_returns(const ImageView& image, const image::Function& function);

}  // namespace selfheal::recover
