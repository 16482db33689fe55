// Calls a modelled function as guest code would: by its entry address.
#pragma once

#include <catch2/catch.hpp>
#include <dlfcn.h>

#include "emulator/models.h"
#include "test/effects/effects_fixture.h"

namespace selfheal::emulator::test {

inline u64 word(u64 value) {
  return value;
}
template <typename T>
u64 word(T* pointer) {
  return address_of(pointer);
}

template <typename... Arguments>
EffectResult try_call(GuestThread& guest, const char* name, Arguments... arguments) {
  constexpr u8 order[] = {rdi, rsi, rdx, rcx, r8, r9};
  unsigned index = 0;
  ((guest->guest.gpr[order[index++]] = word(arguments)), ...);
  // A stack of its own, for what runs on the guest's.
  static thread_local u8 stack[256 * 1024];
  guest->guest.gpr[rsp] = address_of(stack + sizeof stack - 128);
  guest->guest.rip = address_of(dlsym(RTLD_DEFAULT, name));
  const Model model = find_model(guest->guest.rip);
  INFO(name);
  REQUIRE(model != nullptr);
  return model(*guest);
}

template <typename... Arguments>
u64 call(GuestThread& guest, const char* name, Arguments... arguments) {
  INFO(name);
  REQUIRE(try_call(guest, name, arguments...) == EffectResult::done);
  return guest->guest.gpr[rax];
}

template <typename T, typename... Arguments>
T* call_for(GuestThread& guest, const char* name, Arguments... arguments) {
  return pointer_to<T>(call(guest, name, arguments...));
}

}  // namespace selfheal::emulator::test
