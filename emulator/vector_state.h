// Keeps the guest's vector state over calls of code that may use vector registers: the decoder.
//
// XSAVE in its standard format, all components the system enables but x87 and PKRU (nothing of ours
// touches them). Components in their initial configuration stay so: XSTATE_BV remembers (Intel SDM
// vol. 1, 13.6 to 13.8). MXCSR travels with the SSE component.
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

// Bytes of an area; 0 when the processor cannot do it. Asks CPUID: not for the fast path.
u64 vector_area_size();

// `area`: 64-byte aligned, zeroed before its first use.
void save_vectors(u64 area);
void restore_vectors(u64 area);

}  // namespace selfheal::emulator
