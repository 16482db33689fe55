// What diagnosis asks of the process image, as a table of functions: the process itself in the
// library, made-up modules and code in tests. All of it must be signal-safe.
#pragma once

#include "lib/image/function.h"
#include "lib/image/module.h"

namespace selfheal::recover {

struct ImageView {
  void* context;

  bool (*find_module)(void* context, u64 address, image::Module& module);

  // image::find_owner: the function, or the parent of the cold part, that holds `address`.
  bool (*find_owner)(void* context, const image::Module& module, u64 address,
                     image::Function& function, bool& in_cold_part);

  // image::find_function: the part whose frame description covers the address, hot or cold; fast.
  bool (*find_part)(void* context, const image::Module& module, u64 address,
                    image::Function& function);

  // Blame passes over these: libc and its companions, the heap, ourselves.
  bool (*is_system)(void* context, const image::Module& module);

  // Code bytes with our own patches undone; returns how many of `size` could be read.
  u64 (*read_code)(void* context, u64 address, u8* out, u64 size);

  u64 (*code_hash)(void* context, const image::Module& module, const image::Function& function);
};

// The running process, through lib/image.
const ImageView& live_image();

inline bool in_system(const ImageView& image, u64 address) {
  image::Module module;
  return image.find_module(image.context, address, module) &&
         image.is_system(image.context, module);
}

// The module and the function that `address` belongs to.
inline bool find_owner(const ImageView& image, u64 address, image::Module& module,
                       image::Function& function) {
  bool in_cold_part = false;
  return image.find_module(image.context, address, module) &&
         image.find_owner(image.context, module, address, function, in_cold_part);
}

}  // namespace selfheal::recover
