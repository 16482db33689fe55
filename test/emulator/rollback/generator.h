// Random programs: functions of random pieces (snippets.S), loops, calls, and in between bombs: a
// counter in memory that makes the program fault when it comes to zero.
#pragma once

#include <span>
#include <vector>

#include "lib/base/types.h"
#include "test/support/random.h"

namespace selfheal::rollback {

using test::Random;

class Generator {
 public:
  Generator();

  // The code of a program; its entry is its first byte.
  std::vector<u8> program(Random& random) const;

  // The same program, with a ud2 in the place of one of its instructions.
  static std::vector<u8> fault_somewhere(std::span<const u8> program, Random& random);

 private:
  struct Draft;
  void function(Draft& draft, unsigned number) const;
  void statements(Draft& draft, unsigned number, unsigned depth) const;
  void bomb(Draft& draft) const;

  std::vector<std::span<const u8>> snippets_;
  std::vector<std::span<const u8>> faults_;
};

}  // namespace selfheal::rollback
