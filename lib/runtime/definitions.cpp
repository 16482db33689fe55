#include "lib/runtime/definitions.h"

#include <dlfcn.h>

#include "lib/image/module.h"
#include "lib/image/symbols.h"

namespace selfheal::runtime {

u64 find_definition(const char* name) {
  const u64 found = address_of(dlsym(RTLD_DEFAULT, name));
  image::Module module;
  image::Symbol symbol{};
  if (found == 0 || !image::locate_module(found, module) || module.name[0] != '\0' ||
      image::find_symbol(module, name, symbol)) {
    return found;
  }
  const u64 next = address_of(dlsym(RTLD_NEXT, name));
  return next != 0 ? next : found;
}

}  // namespace selfheal::runtime
