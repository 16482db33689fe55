// What a model of a library function, or of a system call, tells the interpreter.
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

enum class EffectResult : u8 {
  done,         // the effect is made and undoable; results are in guest.gpr. A model: the engine
                // performs the function's `ret`. A system call: it goes on after the instruction.
  interpret,    // a model declines (a NULL destination, an odd size): the function's own code runs
  unsupported,  // nothing has happened; go native at this instruction. What it was: model_name() or
                // syscall_name()
  log_full,     // nothing has happened; the undo log cannot take it
  fault,        // nothing has happened, but it would be the end of the process: thread.fault tells
  interrupted,  // nothing has happened; a signal has to be delivered first
};

}  // namespace selfheal::emulator
