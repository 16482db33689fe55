// Throws through several frames, catches, and throws from a library it opens at run time (argv[1]).
#include <dlfcn.h>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

struct Guard {
  ~Guard() { std::cout << "unwound\n"; }
};

int parse(const std::string& text, int depth) {
  Guard guard;
  if (depth > 0) {
    return parse(text, depth - 1);
  }
  return std::stoi(text);
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, int> counts;
  for (const char* text : {"12", "many", "99999999999999999999"}) {
    try {
      counts[text] = parse(text, 2);
    } catch (const std::invalid_argument& problem) {
      std::cout << "invalid: " << problem.what() << '\n';
    } catch (const std::out_of_range& problem) {
      std::cout << "out of range: " << problem.what() << '\n';
    }
  }
  std::thread([] {
    try {
      throw std::runtime_error("in a thread");
    } catch (const std::exception& problem) {
      std::cout << problem.what() << '\n';
    }
  }).join();
  if (argc > 1) {
    void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      std::cerr << dlerror() << '\n';
      return 1;
    }
    auto* twice = reinterpret_cast<int (*)(int)>(dlsym(library, "twice_or_throw"));
    try {
      std::cout << twice(21) << '\n';
      std::cout << twice(-1) << '\n';
    } catch (const std::exception& problem) {
      std::cout << "from the library: " << problem.what() << '\n';
    }
    dlclose(library);
  }
  return static_cast<int>(counts.size()) + 40;
}
