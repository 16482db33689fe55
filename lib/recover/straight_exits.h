// Constants that a function returns, found without walking its paths.
#pragma once

#include "lib/recover/own_exits.h"

namespace selfheal::recover {

// Adds those that `out` does not know yet; of them nothing is known but the value. Signal-safe, a
// bounded number of instructions; what the function's cold part returns is left out.
void add_straight_exits(const image::Function& function, const ImageView& image, OwnExits& out);

}  // namespace selfheal::recover
