// The option `statistics`: what the engine did, one JSON object a process, appended to a file.
#pragma once

namespace selfheal::runtime {

// The process is about to end. Appends the line once, if it was asked for: probes call this for
// _exit and quick_exit, our destructor for exit and a return from main. A process that a signal
// kills, or that becomes another program by exec, leaves no line.
void write_statistics();

}  // namespace selfheal::runtime
