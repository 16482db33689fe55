// Writes docs/options.md from the table, or checks that the file is what would be written.
//
//   options_doc FILE            writes it (the target update_options_doc)
//   options_doc --check FILE    ctest: fails when it is out of date
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "lib/options/options.h"

using namespace selfheal::options;

namespace {

// '|' would end a cell.
std::string cell(const char* text) {
  std::string escaped;
  for (; *text != '\0'; ++text) {
    escaped += *text == '|' ? "\\|" : std::string(1, *text);
  }
  return escaped;
}

std::string code(const char* text) {
  return *text == '\0' ? "" : "`" + cell(text) + "`";
}

std::string document() {
  std::string out =
      "# Options\n\n"
      "<!-- Written from lib/options/options.inc by `cmake --build --preset release --target "
      "update_options_doc`. -->\n\n"
      "The library reads `SELFHEAL_OPTIONS=name=value:name=value`; `selfheal run` has a flag for "
      "each option and `selfheal config` shows their values and where they came from. Later "
      "settings win. A `:` or `\\` inside a value is written with a `\\` in front. An unknown name "
      "or a bad value is reported once and changes nothing; a program is never kept from starting "
      "by it.\n\n"
      "| option | allowed | default | meaning |\n"
      "|---|---|---|---|\n";
  for (const OptionInfo& info : table()) {
    out += "| " + code(info.name) + " | " + cell(info.allowed) + " | " + code(info.standard) +
           " | " + cell(info.help) + " |\n";
  }
  out +=
      "\n`SELFHEAL_STORE=DIRECTORY` says where the store is and wins over the option `store`; a "
      "relative path means the directory the program starts in. Neither variable is read by a "
      "setuid program or one with file capabilities.\n";
  return out;
}

int check(const char* path) {
  std::ifstream in(path);
  const std::string found{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (found == document()) {
    return 0;
  }
  std::fprintf(stderr,
               "%s is not what lib/options/options.inc says; run\n"
               "  cmake --build --preset release --target update_options_doc\n",
               path);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--check") == 0) {
    return check(argv[2]);
  }
  if (argc != 2) {
    std::fprintf(stderr, "usage: options_doc [--check] FILE\n");
    return 2;
  }
  std::ofstream out(argv[1]);
  out << document();
  return out.good() ? 0 : 1;
}
