#include "test/emulator/differential/regressions.h"

namespace selfheal::differential {
namespace {

constexpr Regression list[] = {
    {"410ff7c2", "maskmovq whose bytes wrap past the end of the address space"},
    {"cd04", "int 4 traps behind the instruction"},
    {"480f014d00", "sidt, which the kernel emulates, had stored a part before its fault"},
    {"c8080004", "enter had pushed a part before its fault"},
    {"488b4500ff30", "push of memory: #SS is for the stack only"},
    {"8f00", "pop to memory: #SS is for the stack only"},
    {"f0480fc70e", "cmpxchg16b near address zero: misaligned comes first"},
    {"ff20", "a jump to no address faults where the jump is"},
    {"ff10", "a call of no address: its push faults first"},
    {"dec966d937", "fnstenv told the thunk's address"},
    {"dec9480fae27", "xsave64 told the thunk's address"},
    {"664cd937", "fnstenv with REX.W stores 28 bytes"},
    {"664cdd37", "fnsave with REX.W stores 108 bytes"},
    {"f3e000", "loopne with a repeat prefix: AMD's take the condition from the prefix"},
    {"66c8ca000a", "enter with words pushes from the top down"},
    {"f367a4", "rep movs with 32-bit addresses"},
    {"f3f2a6", "cmps with both repeat prefixes"},
    {"f34190", "pause with REX.B is xchg to some processors"},
    {"650f01fc", "clzero in another segment"},
    {"62f27d41a00c87", "scatter with zmm16 where there is none: an MMX register was read"},
    {"62b27d41a00cbf", "scatter with zmm31 where there is none: no code was there to read it"},
};

}  // namespace

std::span<const Regression> regressions() {
  return list;
}

}  // namespace selfheal::differential
