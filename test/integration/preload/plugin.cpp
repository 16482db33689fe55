// A C++ library opened at run time: static constructor and destructor, exceptions, RTTI.
#include <iostream>
#include <memory>
#include <stdexcept>

namespace {

struct Base {
  virtual ~Base() = default;
  virtual int times(int n) const = 0;
};

struct Twice : Base {
  int times(int n) const override {
    if (n < 0) {
      throw std::domain_error("negative");
    }
    return 2 * n;
  }
};

struct Announcer {
  Announcer() { std::cout << "plugin in\n"; }
  ~Announcer() { std::cout << "plugin out\n"; }
} announcer;

}  // namespace

extern "C" int twice_or_throw(int n) {
  std::unique_ptr<Base> base = std::make_unique<Twice>();
  return dynamic_cast<Twice&>(*base).times(n);
}
