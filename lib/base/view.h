// Parts of a string_view without substr, whose exception would pull libstdc++ into the library.
#pragma once

#include <string_view>

namespace selfheal {

// The first `size` characters, or all.
constexpr std::string_view head(std::string_view text, std::string_view::size_type size) {
  return {text.data(), size < text.size() ? size : text.size()};
}

// What follows the first `skip` characters, or nothing.
constexpr std::string_view tail(std::string_view text, std::string_view::size_type skip) {
  text.remove_prefix(skip < text.size() ? skip : text.size());
  return text;
}

}  // namespace selfheal
