#include <dlfcn.h>
#include <mutex>

#include "emulator/models.h"
#include "test/effects/effects_fixture.h"

namespace selfheal::emulator::test {

namespace {

u64 find(const char* name) {
  return address_of(dlsym(RTLD_DEFAULT, name));
}

bool same_module(u64 a, u64 b) {
  Dl_info first;
  Dl_info second;
  return dladdr(pointer_to<void>(a), &first) != 0 && dladdr(pointer_to<void>(b), &second) != 0 &&
         first.dli_fbase == second.dli_fbase;
}

}  // namespace

void use_own_libc() {
  static std::once_flag once;
  std::call_once(once, [] { resolve_models({find, nullptr, same_module}); });
}

}  // namespace selfheal::emulator::test
