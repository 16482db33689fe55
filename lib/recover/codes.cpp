#include "lib/recover/codes.h"

#include "lib/recover/straight_exits.h"

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

// Of a caller that nobody has walked: what it returns itself is a code of the same kind mostly.
bool returns_codes(u64 return_address, const ImageView& image) {
  image::Module module;
  image::Function caller;
  OwnExits exits = {};
  if (find_owner(image, return_address - 1, module, caller)) {
    add_straight_exits(caller, image, exits);
  }
  return exits.is_enumeration();
}

// A character is compared with others, too, but a status with 0.
bool is_enumeration(const Course& usual, const OwnExits& own, std::span<const u64> return_addresses,
                    const ImageView& image) {
  if (usual.asks_sign || has_negative(own)) {
    return false;
  }
  return (usual.knows_codes && usual.asks_zero) || own.is_enumeration() ||
         (usual.asks_zero && returns_codes(return_addresses[0], image));
}

}  // namespace

u64 failure_code(const OwnExits& own, std::span<const u64> return_addresses,
                 const ImageView& image) {
  const Course usual = course_of(minus_one, return_addresses, image);
  if (!is_enumeration(usual, own, return_addresses, image)) {
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
