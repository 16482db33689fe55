#include "lib/store/location.h"

#include <errno.h>
#include <sys/auxv.h>

#include "lib/base/raw_syscall.h"
#include "lib/store/files.h"

namespace selfheal::store {
namespace {

bool set(const char* value) {
  return value != nullptr && value[0] != '\0';
}

// The XDG specification says to ignore a relative path; so do we with $HOME.
bool set_absolute(const char* value) {
  return set(value) && value[0] == '/';
}

// A path given by a person may be relative: it then means the current directory, now.
bool given(const char* value, const char* source, Location& out, Error& error) {
  Text path(out.path, sizeof out.path);
  if (value[0] != '/') {
    const long size = raw_syscall(SYS_getcwd, address_of(out.path), sizeof out.path);
    if (syscall_failed(size)) {
      error.begin() << source << "=" << value << ": the current directory cannot be told ("
                    << reason_of(size) << "); use an absolute path";
      return false;
    }
    char directory[sizeof out.path];
    __builtin_memcpy(directory, out.path, sizeof directory);
    path.clear();
    path << directory << '/';
  }
  path << value;
  if (path.cut()) {
    error.begin() << source << ": the path is too long; use one of at most 1000 bytes";
    return false;
  }
  out.source = source;
  return true;
}

}  // namespace

const char* environment_value(const char* const* environment, const char* name) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const char* variable = *environment;
    const char* wanted = name;
    while (*wanted != '\0' && *variable == *wanted) {
      ++variable;
      ++wanted;
    }
    if (*wanted == '\0' && *variable == '=') {
      return variable + 1;
    }
  }
  return nullptr;
}

bool locate(const char* const* environment, const char* option_store, Location& out, Error& error) {
  out = {};
  if (getauxval(AT_SECURE) != 0) {
    error.begin() << "a setuid or file-capability program has no store: its user is not trusted";
    return false;
  }
  if (const char* value = environment_value(environment, "SELFHEAL_STORE"); set(value)) {
    return given(value, "SELFHEAL_STORE", out, error);
  }
  if (set(option_store)) {
    return given(option_store, "option store", out, error);
  }
  Text path(out.path, sizeof out.path);
  if (effective_user() == 0) {
    path << "/var/lib/selfheal";
    out.source = "default for root";
  } else if (const char* state = environment_value(environment, "XDG_STATE_HOME");
             set_absolute(state)) {
    path << state << "/selfheal";
    out.source = "XDG_STATE_HOME";
  } else if (const char* home = environment_value(environment, "HOME"); set_absolute(home)) {
    path << home << "/.local/state/selfheal";
    out.source = "HOME";
  } else {
    error.begin() << "no place for the store: neither XDG_STATE_HOME nor HOME is set; set "
                     "SELFHEAL_STORE to a directory";
    return false;
  }
  if (path.cut()) {
    error.begin() << out.source << ": the path is too long; set SELFHEAL_STORE to a shorter one";
    return false;
  }
  return true;
}

bool make_directory(const char* path, Error& error) {
  char part[sizeof Location::path];
  Text text(part, sizeof part);
  for (const char* p = path;; ++p) {
    if ((*p == '/' && text.size() > 0) || *p == '\0') {
      const long result = raw_syscall(SYS_mkdir, address_of(part), 0700);
      if (*p == '\0' && result != 0 && result != -EEXIST) {
        error.begin() << path << ": the directory cannot be made (" << reason_of(result)
                      << "); set SELFHEAL_STORE to a directory you can write to";
        return false;
      }
    }
    if (*p == '\0') {
      return true;
    }
    text << *p;
  }
}

}  // namespace selfheal::store
