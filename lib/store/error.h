// One line for people: which file, at which offset, what is wrong, what to do. The caller prints
// it.
#pragma once

#include "lib/base/text.h"

namespace selfheal::store {

// Plain state in the caller's frame; empty while nothing is wrong.
class Error {
 public:
  Error() = default;
  Error(const Error&) = delete;
  Error& operator=(const Error&) = delete;

  const char* c_str() const { return buffer_; }
  bool empty() const { return buffer_[0] == '\0'; }

  // Starts the line anew and returns it for the rest.
  Text& begin() {
    text_.clear();
    return text_;
  }

  // The same, with "FILE: at offset N: " in front.
  Text& at(const char* file, u64 offset) {
    return (begin() << file << ": at offset ").decimal(offset) << ": ";
  }

 private:
  char buffer_[768] = {};
  Text text_{buffer_, sizeof buffer_};
};

}  // namespace selfheal::store
