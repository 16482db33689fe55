#include "cli/terminal.h"

#include <cstdlib>
#include <cstring>
#include <sys/ioctl.h>
#include <unistd.h>

namespace selfheal::cli {
namespace {

unsigned width_of(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) {
    return size.ws_col;
  }
  return 80;
}

const char* escape_of(Colour colour) {
  switch (colour) {
    case Colour::bold:
      return "\x1b[1m";
    case Colour::dim:
      return "\x1b[2m";
    case Colour::red:
      return "\x1b[31m";
    case Colour::green:
      return "\x1b[32m";
    case Colour::yellow:
      return "\x1b[33m";
    case Colour::none:
      break;
  }
  return "";
}

}  // namespace

Terminal Terminal::detect(int fd) {
  Terminal terminal;
  if (isatty(fd) == 0) {
    return terminal;
  }
  terminal.width = width_of(fd);
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  terminal.colours = (no_color == nullptr || *no_color == '\0') && term != nullptr &&
                     *term != '\0' && std::strcmp(term, "dumb") != 0;
  return terminal;
}

std::string Terminal::paint(Colour colour, std::string_view text) const {
  if (!colours || colour == Colour::none || text.empty()) {
    return std::string(text);
  }
  return std::string(escape_of(colour)).append(text).append("\x1b[0m");
}

size_t columns_of(std::string_view text) {
  size_t columns = 0;
  for (const char c : text) {
    columns += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  }
  return columns;
}

std::string last_line(std::string text, size_t longest) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  text.erase(0, text.rfind('\n') + 1);
  return printable(text.substr(0, longest));
}

std::string printable(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      c = '?';
    }
  }
  return result;
}

}  // namespace selfheal::cli
