#include <iostream>
#include <selfheal/selfheal.hpp>
#include <stdexcept>

int main() {
  try {
    selfheal::rescue([] { throw std::runtime_error(selfheal_version()); });
  } catch (const std::exception& problem) {
    std::cout << problem.what() << '\n';
  }
}
