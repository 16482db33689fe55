// Exceptions through many frames, with destructors, rethrown, nested, and across threads.
#include <algorithm>
#include <exception>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {
int destroyed = 0;
struct Counted {
  ~Counted() { ++destroyed; }
};

[[gnu::noinline]] int descend(int depth) {
  Counted counted;
  if (depth == 0) throw std::out_of_range("the bottom");
  return descend(depth - 1) + 1;
}

[[gnu::noinline]] void rethrow(int level) {
  try {
    if (level == 0)
      descend(20);
    else
      rethrow(level - 1);
  } catch (const std::exception& e) {
    std::throw_with_nested(std::runtime_error("level " + std::to_string(level)));
  }
}

void print(const std::exception& e, int indent = 0) {
  std::cout << std::string(indent, ' ') << e.what() << '\n';
  try {
    std::rethrow_if_nested(e);
  } catch (const std::exception& nested) {
    print(nested, indent + 1);
  }
}
}  // namespace

int main() {
  for (int i = 0; i < 200; ++i) {
    try {
      descend(i % 17);
    } catch (const std::logic_error&) {
    }
  }
  std::cout << destroyed << '\n';
  try {
    rethrow(4);
  } catch (const std::exception& e) {
    print(e);
  }
  auto future = std::async(std::launch::async, [] { return std::stoi("not a number"); });
  try {
    future.get();
  } catch (const std::invalid_argument& e) {
    std::cout << "from a thread: " << e.what() << '\n';
  }
  std::vector<std::thread> threads;
  std::vector<int> caught(4);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&caught, t] {
      for (int i = 0; i < 100; ++i) try {
          descend(t + 3);
        } catch (const std::exception&) {
          ++caught[t];
        }
    });
  for (auto& t : threads) t.join();
  for (int c : caught) std::cout << c << ' ';
  try {
    std::regex bad("([");
  } catch (const std::regex_error& e) {
    std::cout << "regex " << e.code() << '\n';
  }
  try {
    std::map<int, int>().at(3);
  } catch (const std::out_of_range&) {
    std::cout << "at\n";
  }
  try {
    std::string().substr(1);
  } catch (...) {
    std::cout << "substr\n";
  }
  std::ostringstream words;
  const std::string text = "the quick brown fox jumps over the lazy dog";
  const std::regex word("(\\w+)");
  for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it)
    words << it->str(1).size();
  std::cout << words.str() << '\n';
  try {
    throw 42;
  } catch (int value) {
    std::cout << value << std::endl;
  }
}
