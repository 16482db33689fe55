// Functions as users name them: MODULE!FUNCTION, or MODULE+0xOFFSET where there is no name.
#pragma once

#include <string_view>

#include "lib/base/view.h"

namespace selfheal {

struct FunctionName {
  std::string_view module;    // a file's name or its path
  std::string_view function;  // empty: it is named by its offset
  std::string_view offset;    // "0x1f40", not checked; empty: it is named by its name
};

// False: it is neither of the two.
inline bool split_function_name(std::string_view text, FunctionName& out) {
  const std::size_t mark = text.find('!');
  const bool by_name = mark != std::string_view::npos;
  // The last "+0x": libstdc++.so.6 is a module, too.
  const std::size_t end = by_name ? mark : text.rfind("+0x");
  if (end == std::string_view::npos || end == 0 || end + 1 == text.size()) {
    return false;
  }
  const std::string_view rest = tail(text, end + 1);
  out = by_name ? FunctionName{head(text, end), rest, {}} : FunctionName{head(text, end), {}, rest};
  return true;
}

}  // namespace selfheal
