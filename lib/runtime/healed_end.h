// How a healed call ends, once all that it did is rolled back: "as if the function had failed"
// (STEM, 2005, section 3: error virtualization).
//
//        caller's frame                 caller's frame
//        arguments                      arguments
//   rsp► return address         rsp►    (return address popped)
//        region's frames                dead stack
//        ... fault                      rax = error value, rbx rbp r12-r15 = as at entry,
//                                       rip = return address, DF = 0, mxcsr, x87 CW = as at entry
//
// All other registers are the callee's to spoil (System V ABI, 3.2.1), so they need no care.
//
// Where the function itself fails by throwing, and somebody catches that (lib/recover/throwing.h),
// it is as if the first thing it did were to jump to a function of the process's own libstdc++ that
// throws. The unwinder begins in the caller, none of our frames is on the stack, and what the
// exception needs is allocated by the application itself:
//
//   rsp► return address         rdi = a text, rip = std::__throw_…, DF = 0, all else as at entry
#pragma once

#include "lib/base/record.h"
#include "lib/recover/choice.h"
#include "lib/runtime/heal.h"

namespace selfheal::runtime {

// thread.guest goes on so; memory behind pointers is filled in, and errno is set.
void end_call(emulator::Thread& thread, const recover::Return& value, VectorResult& vector);

// What the record says of it.
void note_value(const recover::Return& value, HealRecord& record);

}  // namespace selfheal::runtime
