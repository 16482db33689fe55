// What a wait status (waitpid(2)) means to a supervisor.
#pragma once

#include <string>

namespace selfheal::cli {

// As shells have it: the status, or 128+n.
int exit_status_of(int wait_status);

// "died of SIGSEGV", "ended with status 3"
std::string ending_of(int wait_status);

// Meant to end the program, and so its supervisor.
bool asks_to_end(int signal);

// Signals that people and shells end programs with: no crash, whoever sent them (Ctrl-C goes from
// the terminal to the program's group without passing through us).
bool is_clean_death(int signal);

}  // namespace selfheal::cli
