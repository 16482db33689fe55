#include "aborts.h"

#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

namespace shop {
struct Trouble : std::runtime_error {
  using std::runtime_error::runtime_error;
};
}  // namespace shop

namespace shop {

struct Shape {
  explicit Shape(int n);
  virtual ~Shape() = default;
  virtual int area() const = 0;
  int size;
};

const Shape* volatile half_made;  // keeps the compiler from knowing what it is

__attribute__((always_inline)) inline Shape::Shape(int n) {
  half_made = this;
  size = n > 0 ? half_made->area() : 0;
}

struct Square : Shape {
  using Shape::Shape;
  int area() const override { return 4; }
};

}  // namespace shop

namespace {

__attribute__((noinline)) void throw_if(bool wanted) {
  if (wanted) {
    throw shop::Trouble("no such article");
  }
}

__attribute__((noinline)) int never_throws(bool wanted) noexcept {
  throw_if(wanted);
  return 1;
}

}  // namespace

extern "C" {

int do_throw(const char* text) {
  ++served;
  if (std::strlen(text) != 0) {
    throw shop::Trouble("no such article");
  }
  return 1;
}

int do_throw_int(const char* text) {
  ++served;
  if (std::strlen(text) != 0) {
    throw 7;
  }
  return 1;
}

int do_noexcept(const char* text) {
  ++served;
  return never_throws(std::strlen(text) != 0) + 1;
}

int do_pure(const char* text) {
  ++served;
  const shop::Square square(std::strlen(text) != 0 ? 1 : 0);
  return square.size + 1;
}

int do_thread(const char* text) {
  ++served;
  std::thread thread([] {});
  if (std::strlen(text) == 0) {
    thread.join();
  }
  return 1;
}

int do_length(const char* text) {
  ++served;
  std::string name = "short";
  return static_cast<int>(name.substr(std::strlen(text) * 4).size()) + 1;
}
}
