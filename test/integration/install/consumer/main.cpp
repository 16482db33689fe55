#include <iostream>
#include <selfheal/selfheal.h>
#include <stdexcept>

int main() {
  try {
    throw std::runtime_error(selfheal_version());
  } catch (const std::exception& problem) {
    std::cout << problem.what() << '\n';
  }
}
