// Where a function begins and ends, in binaries without symbols.
//
//   .eh_frame_hdr            .eh_frame
//   ┌──────────────────┐     ┌─────┐
//   │ sorted table     │     │ CIE │ encodings, initial CFA rules
//   │ (start, FDE) ────┼───► ├─────┤
//   │ (start, FDE)     │     │ FDE │ start, size, CFA instructions
//   └──────────────────┘     └─────┘
//
// (Linux Standard Base 5.0 Core, 10.6 "Exception Frames"; DWARF 5, 6.4.)
//
// A compiler may split a function: the cold half gets an FDE of its own that no call ever enters.
// Its frame is already set up when it is entered, so its FDE mostly starts with CFA instructions
// *before* the first advance_loc. A fault in there belongs to the function that jumps to it.
//
// Signal-safe, no allocation, no lock; damaged tables make a lookup fail.
#pragma once

#include "lib/image/module.h"

namespace selfheal::image {

enum class FunctionProblem : u8 {
  none = 0,
  no_table,     // the module has no .eh_frame_hdr search table
  not_covered,  // no FDE covers the address: assembler without CFI, or padding
  damaged,      // a table points outside its module or contradicts itself
};
const char* name_of(FunctionProblem problem);

struct Function {
  u64 start;  // run-time address
  u64 size;
  u64 fde;            // run-time address of its FDE
  bool cold;          // CFA rules before the first advance_loc: entered by a jump, not by a call
  bool signal_frame;  // the augmentation says 'S': a signal return trampoline
  FunctionProblem problem;  // why find_function said false

  u64 end() const { return start + size; }
  bool holds(u64 address) const { return address - start < size; }
};

// The function (or split-off part) whose FDE covers `address`. False: see `function.problem`.
bool find_function(const Module& module, u64 address, Function& function);

// For a split-off part: the function that branches into it. Scans the module's text for rel32
// branches into the part (SSE2, about 0.1 ms a MiB) and believes one only when it is reached by
// decoding its function from the start. Falls back to where the part jumps back to.
bool parent_of_cold(const Module& module, const Function& part, Function& parent);

// What blame wants: the function to call `address`'s own. Finds the function; when it is a
// split-off part (marked by its CFA rules, or entered by a conditional branch from another function
// and by no call), gives the parent instead and sets `in_cold_part`.
bool find_owner(const Module& module, u64 address, Function& owner, bool& in_cold_part);

// Calls `visit` for each FDE of the module in address order: for start-up and tests. False when
// there is no usable table.
bool for_each_function(const Module& module, bool (*visit)(const Function& function, void* context),
                       void* context);

// XXH64 over the function's bytes as they are in the file (our own patches undone; text of PIC
// modules needs no relocation). 0 when they cannot be read.
u64 code_hash(const Module& module, const Function& function);

}  // namespace selfheal::image
