// Compensations and deferred effects: what is in the undo log besides old bytes.
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

enum class Action : u32 {
  none = 0,
  // Atomic read-modify-writes of the guest are undone by the inverse operation, atomically, because
  // other threads may have changed the same word since.
  atomic_add,          // a: address, b: what was added, c: size in bytes
  atomic_flip,         // a: address, b: bits that changed, c: size in bytes
  atomic_exchange_8,   // a: address, b: new value, c: old value: put back if still new
  atomic_exchange_16,
  atomic_exchange_32,
  atomic_exchange_64,
};

enum class Deferred : u32 {
  none = 0,
};

}  // namespace selfheal::emulator
