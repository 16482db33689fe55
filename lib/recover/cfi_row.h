// The unwind row of one code address: how to compute the canonical frame address and where the
// caller's registers are (DWARF 5, 6.4.1 "Structure of Call Frame Information").
//
// Registers here have DWARF numbers (System V psABI for x86-64, figure 3.36), not the processor's.
#pragma once

#include "lib/image/cfi.h"

namespace selfheal::recover {

inline constexpr unsigned dwarf_rsp = 7;
inline constexpr unsigned dwarf_return_address = 16;
inline constexpr unsigned dwarf_register_count = 17;

struct Rule {
  enum Kind : u8 {
    unspecified,     // as the ABI says: callee-saved registers keep their value
    undefined,       // lost; for the return address: this is the outermost frame
    same,            // unchanged
    offset,          // saved at CFA + value
    value_offset,    // is CFA + value
    other_register,  // is in register number `value`
    expression,      // saved where the expression at address `value` says
    value_expression,
  };
  Kind kind;
  u64 value;  // signed offsets in two's complement
  bool operator==(const Rule&) const = default;
};

struct Row {
  bool cfa_by_expression;
  u64 cfa_register;
  u64 cfa_offset;      // two's complement
  u64 cfa_expression;  // address of the length-prefixed expression
  u64 arguments_size;  // bytes of arguments pushed for the next call, which a landing pad expects
  Rule rules[dwarf_register_count];
  bool operator==(const Row&) const = default;
};

// Runs the CIE's and FDE's instructions up to `address`. False on anything malformed.
bool find_row(const image::Module& module, const image::FrameEntry& entry, u64 address, Row& row);

}  // namespace selfheal::recover
