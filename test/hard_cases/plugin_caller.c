// A module with a RUNPATH of its own, which the loader must see as the caller
// (subject_modules.cpp).
#include <dlfcn.h>

void* load_for_me(const char* name) {
  return dlopen(name, RTLD_NOW);
}
