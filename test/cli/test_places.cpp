// Where a campaign puts its faults: only where the frame tables, which know nothing of them, are
// right about the stack.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "cli/campaign/faults.h"

namespace selfheal::cli::campaign {
namespace {

class Fixture {
 public:
  Fixture() : binary_(std::move(*Binary::open(PLACES_MODULE))), places_(find_places(*binary_)) {}

  // The kinds that fit at an offset in a function, as "null div ...".
  std::string kinds_at(const char* function, u64 offset, Position position) const {
    std::string names;
    for (const Place& place : places_) {
      for (const Kind kind : all_kinds) {
        if (binary_->function_name(place.function) == function &&
            place.address - place.function == offset && place.position == position &&
            fits(kind, place)) {
          names += (names.empty() ? "" : " ") + std::string(name_of(kind));
        }
      }
    }
    return names;
  }

  // What an abort at an offset in a function calls by a pointer; 0: nothing, it is no call.
  u64 slot_called_at(const char* function, u64 offset) const {
    for (const Place& place : places_) {
      if (binary_->function_name(place.function) == function &&
          place.address - place.function == offset && fits(Kind::abort, place)) {
        const Binary::Patch patch = patch_for(Kind::abort, place, *binary_);
        u32 distance = 0;
        std::memcpy(&distance, patch.bytes.data() + 2, sizeof distance);
        const bool calls = patch.bytes[0] == 0xff && patch.bytes[1] == 0x15;
        return calls ? place.address + 6 + distance : 0;
      }
    }
    FAIL("no place");
    return 0;
  }

  u64 abort_slot() const { return binary_->abort_slot().value_or(0); }

 private:
  std::unique_ptr<Binary> binary_;
  std::vector<Place> places_;
};

// As in places_module.S, bytes from the function's start.
constexpr u64 first_push = 4;  // behind endbr64
constexpr u64 behind_pushes = 7;
constexpr u64 first_pop = 78;

TEST_CASE("a fault of more than one instruction is not put where something is pushed") {
  const Fixture module;
  CHECK(module.kinds_at("with_prologue", first_push, Position::entry) == "ud2 loop");
  CHECK(module.kinds_at("with_prologue", behind_pushes, Position::entry) ==
        "null div ud2 abort loop");
  CHECK(module.kinds_at("without_frame", 0, Position::entry) == "null div ud2 abort loop");
}

TEST_CASE("nor where something is popped behind a store") {
  const Fixture module;
  CHECK(module.kinds_at("with_prologue", first_pop, Position::middle) == "ud2 loop");
}

TEST_CASE("abort is called where the stack is aligned for a call") {
  const Fixture module;
  REQUIRE(module.abort_slot() != 0);
  CHECK(module.slot_called_at("aligned", 1) == module.abort_slot());
  CHECK(module.slot_called_at("with_prologue", behind_pushes) == 0);
  CHECK(module.slot_called_at("without_frame", 0) == 0);
}

}  // namespace
}  // namespace selfheal::cli::campaign
