#include "lib/recover/library_failures.h"

#include <cerrno>
#include <glob.h>
#include <netdb.h>
#include <regex.h>

namespace selfheal::recover {
namespace {

constexpr LibraryFailure table[] = {
#define SELFHEAL_LIBRARY_FAILURE(name, form, error, meaning, out) \
  {#name, FailureForm::form, FailureMeaning::meaning, out, error},
#include "lib/recover/library_failures.inc"
#undef SELFHEAL_LIBRARY_FAILURE
};

}  // namespace

std::span<const LibraryFailure> library_failures() {
  return table;
}

const LibraryFailure* find_library_failure(std::string_view name) {
  for (const LibraryFailure& failure : table) {
    if (name == failure.name) {
      return &failure;
    }
  }
  return nullptr;
}

}  // namespace selfheal::recover
