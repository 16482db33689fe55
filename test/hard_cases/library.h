// Libraries that cases load at run time (libraries/).
#pragma once

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

namespace hard {

inline void* open_library(const char* name, int mode) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", LIBRARIES, name);
  void* library = dlopen(path, mode);
  if (library == nullptr) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return library;
}

template <typename F>
F* function_of(void* library, const char* name) {
  return reinterpret_cast<F*>(dlsym(library, name));
}

}  // namespace hard
