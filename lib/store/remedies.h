// Which remedy a fault of the heap gets, and how it grows when it was not enough: after
// Exterminator (Novark, Berger, Zorn, PLDI 2007) and First-Aid (Gao et al., EuroSys 2009).
//
//   heap_overflow    behind its end: pad_allocation, at the site that allocated the chunk
//   use_after_free   delay_free, at the site that freed it
//   bad_free         ignore_free, at the site of the bad free
//
// A recurrence says that the remedy was too small: padding doubles, up to a limit. Beside it the
// region runs in the engine, which returns an error before an access that the remedy does not
// cover. Pure; any thread.
#pragma once

#include "lib/store/format.h"

namespace selfheal::store {

inline constexpr u32 least_padding = 64;           // bytes
inline constexpr u32 largest_padding = 64 * 1024;  // bytes

// Remedies that the allocation probe carries out.
inline constexpr u8 heap_remedies =
    static_cast<u8>(Remedy::ignore_free) | static_cast<u8>(Remedy::pad_allocation) |
    static_cast<u8>(Remedy::delay_free) | static_cast<u8>(Remedy::fill_allocation);

// Faults that only the allocation probe sees, or whose cause it is to find.
bool is_heap_fault(FaultKind kind);

// Of `record`, which `entry` now describes. True: the remedies have changed.
bool choose_remedies(const FaultRecord& record, CatalogEntry& entry);

// The engine had to stop what the padding was too short for. True: it is longer now.
bool strengthen_remedies(const HealRecord& record, CatalogEntry& entry);

// Has the region to run in the engine? Not where a remedy of the allocator's is all there is: for a
// bad free, and for an overflow that was found only afterwards, by damage, and names no function.
bool needs_engine(const CatalogEntry& entry);

}  // namespace selfheal::store
