// What is thrown is made by libstdc++: it has a function that does nothing else for most of the
// exceptions of the standard library, and so nothing of the program's is called that might expect
// more than we know. Of an exception of the program's own the nearest base is thrown, where that is
// caught by the same clause:
//
//   struct ParseError : std::runtime_error    std::runtime_error      catch (const std::exception&)
//   struct Refusal {}                         std::runtime_error      catch (...)
#include "lib/recover/throwing.h"

#include "lib/image/symbols.h"
#include "lib/recover/catching.h"
#include "lib/recover/type_info.h"

namespace selfheal::recover {
namespace {

// Where the process has it: in the library that has the class of all std::type_info. 0: linked
// statically, or another library.
u64 thrower_of(StandardException exception, u64 type) {
  const u64 code = code_behind_type(type);
  image::Module module;
  image::Symbol symbol;
  return code != 0 && image::locate_module(code, module) &&
                 image::find_symbol(module, kind_of(exception).thrower, symbol)
             ? symbol.address
             : 0;
}

}  // namespace

bool find_own_throw(u64 type, u64 call, const ImageView& image, OwnThrow& out) {
  const StandardException nearest = standard_exception_of(type);
  out = {};
  out.type = type;
  out.as = nearest != StandardException::none ? nearest : StandardException::runtime_error;
  out.thrower = thrower_of(out.as, type);
  return out.thrower != 0 && passage_at(call, {type, out.as}, image) == Passage::goes_on;
}

void throw_instead(const OwnExits& own, std::span<const u64> stack, const ImageView& image,
                   Return& value) {
  if (own.throw_count == 0 || value.taken_for_failure) {
    return;
  }
  value.by_outer_callers = true;
  for (unsigned i = 0; i < own.throw_count && value.thrower == 0; ++i) {
    const OwnThrow& own_throw = own.throws[i];
    const int catcher = find_catcher({own_throw.type, own_throw.as}, stack, image);
    if (catcher >= 0) {
      value.thrower = own_throw.thrower;
      value.thrown = own_throw.as;
      value.by_outer_callers = catcher != 0;
    }
  }
}

}  // namespace selfheal::recover
