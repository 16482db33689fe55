// Compilers mark with an illegal instruction what must never be reached, and clang's
// -fsanitize-trap says in it which check has failed:
//
//      0f 0b              ud2                       __builtin_trap, gcc's -fsanitize-…-trap
//      67 0f b9 40 NN     ud1l NN(%eax), %eax       clang's check number NN
//      67 0f b9 00        ud1l (%eax), %eax         … 0
#include "lib/report/illegal.h"

#include <iterator>

namespace selfheal::report {
namespace {

constexpr u8 general_protection = 13;

// LIST_SANITIZER_CHECKS, clang/lib/CodeGen/CodeGenFunction.h, clang 14.
constexpr const char* checks[] = {
    "signed addition overflow",
    "reaching code marked unreachable",
    "a control-flow integrity check",
    "signed division overflow or by zero",
    "an object's dynamic type",
    "a float too large for its integer",
    "a call through a pointer of another type",
    "an implicit conversion that loses",
    "an invalid argument of a builtin",
    "an Objective-C cast",
    "a bool or enum with no such value",
    "the end of a function without its return",
    "signed multiplication overflow",
    "signed negation overflow",
    "a null argument declared non-null",
    "a null result declared non-null",
    "a null argument declared non-null",
    "a null result declared non-null",
    "an index out of bounds",
    "pointer arithmetic overflow",
    "a shift out of bounds",
    "signed subtraction overflow",
    "a null or misaligned pointer",
    "an alignment that was assumed",
    "an array of a size that is not positive",
};

const char* failed_check(const u8* bytes, u64 size) {
  if (size < 4 || bytes[0] != 0x67 || bytes[1] != 0x0f || bytes[2] != 0xb9) {
    return nullptr;
  }
  const bool numbered = size >= 5 && bytes[3] == 0x40;
  const u64 number = numbered ? bytes[4] : 0;
  return (numbered || bytes[3] == 0x00) && number < std::size(checks) ? checks[number] : nullptr;
}

}  // namespace

void say_illegal(const Fault& fault, const u8* bytes, u64 size, Text& out) {
  if (fault.trap == general_protection) {
    out << "executed an instruction that only the kernel may";
  } else if (size >= 2 && bytes[0] == 0x0f && bytes[1] == 0x0b) {
    out << "reached ud2, the compiler's mark for code that must never run";
  } else if (const char* check = failed_check(bytes, size); check != nullptr) {
    out << "failed a check of the undefined-behaviour sanitizer: " << check;
  } else if (size == 0) {
    out << "executed an illegal instruction, such as compilers mark code with that must never run";
  } else {
    out << "executed an instruction this processor does not have";
  }
}

}  // namespace selfheal::report
