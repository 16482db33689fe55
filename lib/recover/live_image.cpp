#include "lib/recover/image_view.h"

namespace selfheal::recover {
namespace {

constexpr ImageView view = {
    nullptr,
    [](void*, u64 address, image::Module& module) { return image::find_module(address, module); },
    [](void*, const image::Module& module, u64 address, image::Function& function, bool& cold) {
      return image::find_owner(module, address, function, cold);
    },
    [](void*, const image::Module& module, u64 address, image::Function& function) {
      return image::find_function(module, address, function);
    },
    [](void*, const image::Module& module) {
      return image::is_system_library(module) || image::is_allocator(module);
    },
    [](void*, u64 address, u8* out, u64 size) { return image::read_original(address, out, size); },
    [](void*, const image::Module& module, const image::Function& function) {
      return image::code_hash(module, function);
    },
};

}  // namespace

const ImageView& live_image() {
  return view;
}

}  // namespace selfheal::recover
