// How a function of the C library says that it has failed: what it returns, what errno says, and
// what it leaves behind its arguments (library_failures.inc, from the manual pages; the idea of a
// table is FIRestarter's: Bhat et al., DSN 2021, section 4).
#pragma once

#include <span>
#include <string_view>

#include "lib/base/types.h"

namespace selfheal::recover {

enum class FailureForm : u8 {
  minus_one,  // -1 (EOF, MAP_FAILED, SIG_ERR), and errno
  null,       // NULL or 0, and errno
  number,     // an error number; errno stays as it was
  code        // another number; errno stays as it was
};

// What else the value may mean.
enum class FailureMeaning : u8 {
  failure,  // nothing
  end,      // there is no more input; fgets, wait
  absent    // what was asked for does not exist; stat, getpwnam
};

struct LibraryFailure {
  const char* name;
  FailureForm form;
  FailureMeaning meaning;
  u8 out_argument;  // 1 to 6: behind this one it leaves a NULL; 0: none
  i32 error;

  // For rax, sign-extended.
  i64 value() const {
    switch (form) {
      case FailureForm::minus_one:
        return -1;
      case FailureForm::null:
        return 0;
      case FailureForm::number:
      case FailureForm::code:
        break;
    }
    return error;
  }

  // What errno says; 0: it is left alone.
  i32 error_number() const {
    return form == FailureForm::minus_one || form == FailureForm::null ? error : 0;
  }

  // As it would return on success, where that is one number or a pointer to something.
  i64 success() const {
    switch (form) {
      case FailureForm::null:
        return 0x10000;
      case FailureForm::minus_one:
        return 3;
      case FailureForm::number:
      case FailureForm::code:
        break;
    }
    return 0;
  }
};

// Null for functions that are not known. Signal-safe.
const LibraryFailure* find_library_failure(std::string_view name);

// All that are known.
std::span<const LibraryFailure> library_failures();

}  // namespace selfheal::recover
