// What stdout is, and what may be sent there: escape sequences go to a terminal only, and never
// with NO_COLOR set (https://no-color.org) or TERM=dumb.
#pragma once

#include <string>
#include <string_view>

namespace selfheal::cli {

enum class Colour { none, bold, dim, red, green, yellow };

struct Terminal {
  bool colours = false;
  unsigned width = 0;  // columns; 0: no limit (a pipe or a file)

  // Looks at the descriptor and the environment.
  static Terminal detect(int fd);

  std::string paint(Colour colour, std::string_view text) const;
};

// Columns a UTF-8 text takes (code points; no wide characters come up here).
size_t columns_of(std::string_view text);

// Replaces what could steer a terminal: for text that others wrote.
std::string printable(std::string_view text);
// The last line of what a command printed, made printable; at most `longest` bytes of it.
std::string last_line(std::string text, size_t longest);

}  // namespace selfheal::cli
