// What activations of functions a stack has in common with the same stack a while ago.
//
//      look 1    look 2    look 3      in all
//      read      parse     parse*
//      parse     parse     parse   ─►  parse      innermost activation that has not returned
//      serve     serve     serve       serve      (parse* returns elsewhere: a deeper recursion)
//      main      main      main        main
//
// Plain computation on memory it is given.
#pragma once

#include <span>

#include "lib/base/types.h"
#include "lib/recover/unwind.h"

namespace selfheal::runtime {

class Activations {
 public:
  // The first look: all of them, as far as there is room; the outermost are what is kept, as the
  // innermost soon return.
  void begin(std::span<const recover::Frame> frames);
  // A later one: those that are not in `frames` are forgotten.
  void keep_common(std::span<const recover::Frame> frames);
  // The index in `frames` of the innermost activation that was in all looks; frames.size(): none.
  unsigned innermost(std::span<const recover::Frame> frames) const;

 private:
  struct Activation {
    u64 return_address;
    u64 caller_sp;  // the stack pointer right after the return: no two live activations share it
  };
  static constexpr unsigned capacity = 64;

  static Activation of(const recover::Frame& caller) {
    return {caller.registers.rip, caller.registers.gpr[rsp]};
  }
  bool holds(const Activation& wanted) const;

  unsigned count_ = 0;
  Activation activations_[capacity]{};
};

}  // namespace selfheal::runtime
