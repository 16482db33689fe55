// What brought a process to abort(): the family of FaultKind::abort, told apart.
//
//      #0  pthread_kill   libc          the signal
//      #1  raise          libc
//      #2  abort          libc          ◄ certain: a handler that returns does not stop it
//      #3  __assert_fail  libc          ◄ the kind: by the name libc exports …
//      #3  (no name)      libc          ◄ … or by what it said before (its __abort_msg)
//      #4  die            application   never returns, so nobody can be given an error by it
//      #5  parse          application   ◄ to blame
//
// All up to the frame to blame is called the machinery here. Whose canary was damaged, who threw
// what nobody catches, who called free(): it is always the innermost function above the machinery.
// A pure function of its arguments; signal-safe when they are.
#pragma once

#include <span>

#include "lib/base/record.h"
#include "lib/recover/image_view.h"
#include "lib/recover/unwind.h"

namespace selfheal::recover {

struct AbortClues {
  // Exported name of the function that holds `address`, null when it has none.
  const char* (*function_name)(u64 address);
  // Mangled type of the exception being handled, by the C++ runtime that holds `address`; or null.
  const char* (*exception_type)(u64 address);
  // Is it code of a heap that is not libc's?
  bool (*in_allocator)(u64 address);
  const char* libc_message;  // __abort_msg: what libc printed before it aborted; or null
  const char* assertion;     // the failing assertion, where libc has not got to say it; or null
};

struct AbortStory {
  FaultKind kind;
  bool certain;  // abort() was called: the process ends, whatever a handler does but jump
  char message[sizeof FaultDetail::message];
};

AbortStory tell_abort(std::span<const Frame> frames, const ImageView& image,
                      const AbortClues& clues);

// Is code at this address part of the machinery when it is found below an abort?
bool leads_to_abort(const ImageView& image, u64 address);

// main(), called by libc, that raises SIGABRT means it: timeout(1) and shells die of what a child
// died of. Nobody is blamed then.
void spare_main(FaultRecord& record, std::span<const Frame> frames, const ImageView& image);

}  // namespace selfheal::recover
