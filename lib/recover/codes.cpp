#include "lib/recover/codes.h"

namespace selfheal::recover {
namespace {

constexpr u64 minus_one = ~u64{0};
constexpr unsigned most_tried = 7;
constexpr u64 common[] = {1, 2, 3};  // 1 is the general one mostly: EPERM, no memory, ERROR

bool has_negative(const OwnExits& own) {
  for (const Exit& exit : own) {
    if (exit.kind == Exit::constant && static_cast<i64>(exit.value) < 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

u64 failure_code(const OwnExits& own, std::span<const u64> return_addresses,
                 const ImageView& image) {
  const Course usual = course_of(minus_one, return_addresses, image);
  if (usual.asks_sign || has_negative(own) || (!usual.knows_codes && !own.is_enumeration())) {
    return minus_one;
  }
  unsigned tried = 0;
  const auto goes_the_same_way = [&](u64 code) {
    return tried++ < most_tried &&
           course_of(code, return_addresses, image).branches == usual.branches;
  };
  for (const Exit& exit : own) {
    if (exit.kind == Exit::constant && exit.value > 1 && goes_the_same_way(exit.value)) {
      return exit.value;
    }
  }
  for (const u64 code : common) {
    if (goes_the_same_way(code)) {
      return code;
    }
  }
  return minus_one;
}

}  // namespace selfheal::recover
