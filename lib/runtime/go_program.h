// Is this program written in Go?
//
// The Go runtime brings an alternate signal stack of its own for each thread, or takes over the one
// it finds there, and installs and asks for it by bare system calls (runtime/os_linux.go,
// minitSignalStack); its handler ends the process when it runs anywhere else. Goroutines run on
// stacks of a few KiB, which our handler could not borrow either. And faults of Go code are panics
// that the program may recover from, so there is nothing for us to do: we stay out of it.
#pragma once

namespace selfheal::runtime {

// From the program's notes; in the constructor. A Go library in a program of another language is
// not looked for.
bool is_go_program();

}  // namespace selfheal::runtime
