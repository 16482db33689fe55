// How well it is known how the functions around a fault fail: on paper (recover/evidence.h, where
// the option says so), and by what the store knows of functions (store/functions.h).
#pragma once

#include "lib/runtime/diagnosis.h"

namespace selfheal::runtime {

// Fills record.evidence. Signal-safe; guards itself.
void weigh_levels(Diagnosis& diagnosis);

}  // namespace selfheal::runtime
