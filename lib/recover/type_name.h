// C++ type names as people write them, for the few forms exceptions have.
#pragma once

#include "lib/base/text.h"

namespace selfheal::recover {

// `mangled` is what std::type_info::name() gives (Itanium C++ ABI, 5.1): a name in namespaces,
// "St13runtime_error", "N5redis5ErrorE", or a basic type, "i", "PKc". Anything else, templates
// above all, is written as it is. No allocation.
void say_type(const char* mangled, Text& out);

}  // namespace selfheal::recover
