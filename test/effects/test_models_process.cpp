#include <catch2/catch.hpp>
#include <dlfcn.h>
#include <string_view>

#include "emulator/actions.h"
#include "emulator/syscalls.h"
#include "test/effects/call.h"

using namespace selfheal;
using namespace selfheal::emulator;
using namespace selfheal::emulator::test;

TEST_CASE("Loading a module is interpreted up to the loader, where that can be recognised") {
  use_own_libc();
  GuestThread guest;
  const u64 loader = native_functions.loader;
  for (const char* name : {"dlopen", "dlmopen", "dlclose"}) {
    CHECK(try_call(guest, name, u64{0}) == EffectResult::interpret);
    CHECK(std::string_view(model_name(guest->guest.rip)) == name);
    native_functions.loader = 0;
    CHECK(try_call(guest, name, u64{0}) == EffectResult::unsupported);
    native_functions.loader = loader;
  }
}

namespace {

constexpr const char* library = "libanl.so.1";

void look_up(void* result) {
  *static_cast<void**>(result) = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
}

void load(void* result) {
  *static_cast<void**>(result) = dlopen(library, RTLD_NOW);
}

void unload(void* result) {
  dlclose(*static_cast<void**>(result));
}

void* run(GuestThread& guest, void (*operate)(void*), void* argument) {
  const char* object = nullptr;
  const char* text = nullptr;
  bool is_malloced = false;
  call(guest, "_dl_catch_error", &object, &text, &is_malloced, address_of_function(operate),
       argument);
  return text == nullptr ? argument : nullptr;
}

std::string_view newest_call(GuestThread& guest) {
  return syscall_name(guest.log().irrevocable_calls()[guest.log().irrevocable() - 1]);
}

}  // namespace

TEST_CASE("Loading and unloading say that they cannot be undone, looking up does not") {
  use_own_libc();
  GuestThread guest;
  void* module = nullptr;
  run(guest, look_up, &module);
  REQUIRE(module == nullptr);  // or this process has it for another reason
  CHECK(guest.log().irrevocable() == 0);
  run(guest, load, &module);
  REQUIRE(module != nullptr);
  CHECK(guest.log().irrevocable() == 1);
  CHECK(newest_call(guest) == "mmap");
  run(guest, unload, &module);
  CHECK(guest.log().irrevocable() == 2);
  CHECK(newest_call(guest) == "munmap");
}
