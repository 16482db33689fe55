// What a handler makes of an exception that it has caught.
//
//   catch (const std::exception& e) { answer(e.what()); }      takes it
//   catch (...) { close(fd); throw; }                          passes it on
//   noexcept, as clang writes it: a pad that ends the program  ends
//
// On paper, along all ways from the landing pad to the end of the handler. Signal-safe.
#pragma once

#include "lib/recover/image_view.h"

namespace selfheal::recover {

enum class Handler : u8 {
  takes,      // begins to catch, and comes to its end
  passes_on,  // on some way, it throws it again
  ends,       // the program, on some way; or throws another one; or nothing is known of it
};

// At most 400 instructions.
Handler handler_at(u64 pad, const ImageView& image);

}  // namespace selfheal::recover
