// What the operands of the faulting instruction held, from the registers in the record.
// Same rules as report.h.
#pragma once

#include "lib/base/fault.h"
#include "lib/base/types.h"
#include "lib/report/writer.h"

namespace selfheal::report {

// Writes one line with the registers the instruction reads, and one line for each memory operand:
// its effective address, its size, what was done to it, and whether the fault hit it.
void write_operands(const u8* bytes, u64 size, const Fault& fault, Writer& out);

// The divisor of the integer division at `bytes`, where it is a register.
enum class Divisor : u8 { unknown, zero, not_zero };
Divisor divisor_of(const u8* bytes, u64 size, const Registers& registers);

}  // namespace selfheal::report
