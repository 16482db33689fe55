// What this process has to say about its own abort: names, libc's last words, exceptions.
#pragma once

#include "lib/recover/abort_story.h"

namespace selfheal::runtime {

// Once, at start-up: where libc keeps its last words.
void find_libc_message();

// In a signal handler.
recover::AbortClues abort_clues();

}  // namespace selfheal::runtime
