// Where the store is: SELFHEAL_STORE, else the `store` option, else /var/lib/selfheal for root,
// else $XDG_STATE_HOME/selfheal, else $HOME/.local/state/selfheal.
//
// Takes the environment as an array because our constructor runs before libc's, when getenv does
// not answer yet. No allocation; errno is left alone.
#pragma once

#include "lib/base/types.h"
#include "lib/store/error.h"

namespace selfheal::store {

struct Location {
  char path[1024];     // absolute
  const char* source;  // "SELFHEAL_STORE", "option store", "default for root", ...
};

// `option_store` is options.store, "" or nullptr when not set. False with a line in `error` when no
// place can be told.
bool locate(const char* const* environment, const char* option_store, Location& out, Error& error);

// Makes `path` and its absent parents with mode 0700. False, with a line in `error`.
bool make_directory(const char* path, Error& error);

// The value of NAME in the array, or nullptr.
const char* environment_value(const char* const* environment, const char* name);

}  // namespace selfheal::store
