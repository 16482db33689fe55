// Would an exception be caught, and by whom? By the tables of the functions on the stack, as the
// unwinder would ask them, and by what their handlers make of it.
//
//   validate    throws ParseError, a std::runtime_error; we would throw the latter
//   parse_all   cleans up                                             goes on
//   request     catch (...) { count(); throw; }                       goes on
//   handle      catch (const std::exception& e) { answer(e.what()); } caught ◄
//   main
//
// Both must come to the same handler: where a clause takes only one of them, nothing is thrown. Nor
// is it where the first function with nobody around it would catch (main, or what a thread began
// with): that is how programs end. Signal-safe.
#pragma once

#include <span>

#include "lib/base/standard_exception.h"
#include "lib/recover/image_view.h"

namespace selfheal::recover {

struct Exception {
  u64 type;              // that the function itself throws, its std::type_info
  StandardException as;  // what is thrown for it
};

// What becomes of it at a call that it leaves.
enum class Passage : u8 {
  goes_on,  // to the caller, perhaps through clean-ups
  caught,
  ends  // in std::terminate, or nothing is known
};

// `call` is the address of the call, or of any byte of it.
Passage passage_at(u64 call, const Exception& exception, const ImageView& image);

// Thrown by the function that stack[0] returns from. The index of the one who catches it: the
// return address into that frame; -1: nobody does.
int find_catcher(const Exception& exception, std::span<const u64> stack, const ImageView& image);

// The index of the frame of main, or of what its thread began with: the outermost one of the
// application's, which the system called. _start, at the very end, is another matter. ~0: not seen.
unsigned outermost(std::span<const u64> addresses, const ImageView& image);

}  // namespace selfheal::recover
