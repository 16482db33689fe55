#include "test/emulator/differential/regressions.h"

namespace selfheal::differential {
namespace {

constexpr Regression list[] = {
    {"410ff7c2", "maskmovq whose bytes wrap past the end of the address space"},
    {"cd04", "an overflow trap comes behind the instruction"},
};

}  // namespace

std::span<const Regression> regressions() {
  return list;
}

}  // namespace selfheal::differential
