// What a program says where it handles a failure, in words: the texts it has for its log and for
// its client.
#pragma once

#include "lib/recover/image_view.h"

namespace selfheal::recover {

// True when the constant text at `address` has a word for failure near its beginning. Signal-safe.
bool speaks_of_failure(const ImageView& image, u64 address);

}  // namespace selfheal::recover
