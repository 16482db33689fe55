// Which address ranges hold modules, so that decoded code of an unloaded one can be dropped.
#pragma once

#include "lib/base/types.h"

namespace selfheal::runtime {

// Compares with the modules seen last time and makes the engine forget the code of those that are
// gone, or were replaced at the same address. Any thread; of two at once, one has all code
// forgotten.
void forget_vanished_modules();

}  // namespace selfheal::runtime
