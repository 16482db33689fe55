// The faults a campaign injects, and the places in a function where they fit.
//
//   entry      the function's first bytes (behind an endbr64), or those behind its prologue
//   middle     an instruction behind a store to memory other than the stack's, so that there is
//              something to roll back; no branch may lead into the bytes behind its first
//   jump       a conditional jump, whose condition is negated
//
// The frame tables speak of the original code. So a fault is put only where they say the same of
// all the bytes up to the instruction that faults: else the stack at the fault would be one that
// the function itself never has, and nobody could walk it.
//
// The bytes are written over a copy of the file; build-id and layout stay. The function's code hash
// is then that of the changed function, in the first run and in the second.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/campaign/binary.h"

namespace selfheal::cli::campaign {

enum class Kind : u8 { null, div, ud2, abort, loop, invert };
inline constexpr std::array all_kinds = {Kind::null,  Kind::div,  Kind::ud2,
                                         Kind::abort, Kind::loop, Kind::invert};
const char* name_of(Kind kind);
std::optional<Kind> kind_named(std::string_view name);

enum class Position : u8 { entry, middle, jump };
const char* name_of(Position position);

struct Place {
  u64 address;  // ELF virtual address of the first byte changed
  u64 function;
  Position position;
  u64 room;    // bytes from `address` on that may be changed
  u64 steady;  // bytes from `address` on in which the frame stays as it is
};

// Every place of the binary, in address order.
std::vector<Place> find_places(const Binary& binary);

bool fits(Kind kind, const Place& place);

// What to write at `place` (which must fit).
Binary::Patch patch_for(Kind kind, const Place& place, const Binary& binary);

}  // namespace selfheal::cli::campaign
