// Which number says failure where 0 says success and nobody asks for a sign.
//
//   static const char* const texts[] = {"success", "out of memory", "timed out", …};
//
//   result = load(zone);                     load() knows of 0 only, or never came to its errors
//   if (result != SUCCESS) {                 -1 would do as well as any other number …
//     if (result == NOT_FOUND) …             … but NOT_FOUND is 23, so this is an enumeration
//     log("%s", texts[result]);              and -1 is outside of its table
//   }
//
// What is known of an enumeration: codes above 1 that the function returns itself, or that its
// callers compare with, or that the first of these returns. The code that is returned goes the way
// of -1 through all callers that are known, so it is none that they treat in a way of its own: not
// found, no more, call again.
#pragma once

#include "lib/recover/course.h"

namespace selfheal::recover {

// In place of -1 for callers that take 0 for success: a positive code, where they or the function
// know of such ones and of nothing negative; else -1. Signal-safe; at most eight times course_of(),
// and the straight exits of one caller.
u64 failure_code(const OwnExits& own, std::span<const u64> return_addresses,
                 const ImageView& image);

}  // namespace selfheal::recover
