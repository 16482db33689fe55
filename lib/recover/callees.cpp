#include "lib/recover/callees.h"

#include <cstring>

#include "lib/recover/constant_callee.h"
#include "lib/recover/imports.h"
#include "lib/recover/returned_argument.h"

namespace selfheal::recover {
namespace {

constexpr unsigned max_callees = 128;
constinit Callee callees[max_callees] = {};

// Of a function of the module's own.
void look_into(Callee& callee, u64 entry, const ImageView& image) {
  callee.is_constant = returns_constant(image, entry, callee.constant);
  if (!callee.is_constant) {
    callee.argument = static_cast<u8>(returned_argument(image, entry));
  }
}

}  // namespace

Known Callee::result(const Paper& paper) const {
  if (is_constant) {
    return {Known::constant, 0, false, false, static_cast<i64>(constant)};
  }
  return paper.passed(argument);
}

Callees::Callees(const image::Function& caller, const ImageView& image)
    : caller_(caller), image_(image) {
  std::memset(callees, 0, sizeof callees);
}

const Callee& Callees::called_at(u64 at, const CodeWalk& walk) const {
  Callee& callee = callees[at % max_callees];
  if (callee.at == at) {
    return callee;
  }
  callee = {at, nullptr, 0, false, false, 0};
  if (const char* name = imported_callee(image_, walk, caller_.start); name != nullptr) {
    callee.failure = find_library_failure(name);
    callee.throws = std::strcmp(name, "__cxa_throw") == 0;
    callee.is_constant = import_returns_constant(image_, name, callee.constant);
  } else if (walk.target() != 0) {
    look_into(callee, walk.target(), image_);
  }
  return callee;
}

const Callee& Callees::continued_at(u64 entry) const {
  Callee& callee = callees[entry % max_callees];
  if (callee.at != entry) {
    callee = {entry, nullptr, 0, false, false, 0};
    look_into(callee, entry, image_);
  }
  return callee;
}

}  // namespace selfheal::recover
