// Functions that decide about access, told by what they call.
//
// Rules know such functions by their names (lib/store/builtin_rules.cpp). A stripped program has
// none, but who checks a password or a signature asks a library to compute it, and libraries are
// asked by name:
//
//   auth_password ──► (sys_auth_passwd) ──► xcrypt ──► PLT ──► crypt
//   no name           no name               no name           in the linkage table
//
// Followed are direct calls and tail calls, breadth first, three calls deep: farther out is the
// program at large. Calls through pointers are not seen, nor is what compares without a library's
// help.
#pragma once

#include "lib/recover/image_view.h"

namespace selfheal::recover {

// True when `function`, or what it calls, calls a library's check of credentials. One thread at a
// time, not for the fault path: some ms at most.
bool asks_about_access(const ImageView& image, const image::Module& module,
                       const image::Function& function);

// Whether a library's function of that name checks credentials.
bool checks_credentials(const char* name);

}  // namespace selfheal::recover
