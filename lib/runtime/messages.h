// Where the runtime's text goes, if anywhere.
//
// Some servers hand their stderr to clients, so ours is used only when it is a terminal, or the
// very file that `selfheal run` said is its own (SELFHEAL_STDERR=device:inode), or the user
// insists; never a socket; and only while it is still the file it was at start-up. A log file
// (option log_path) is opened for each report and closed again, because no descriptor of ours
// survives in a server. In a process with a seccomp filter nothing is printed at all: `selfheal
// info` has it from the journal.
#pragma once

#include "lib/report/report.h"

namespace selfheal::runtime {

// At start-up: decides about stderr, once.
void choose_outputs(const char* const* environment);

// Crash reports and heal lines. Signal-safe.
report::Sink report_sink();

// False when the sink would throw everything away: no need to render.
bool reports_wanted();

// One line, "selfheal: " in front: trouble with the store or the options, at start-up. Goes to
// stderr unless that is a socket, as nobody would look for it anywhere else.
void say(const char* text, const char* more = "");

}  // namespace selfheal::runtime
