// Code run on paper: what registers, a frame and flags hold as far as it can be told without memory
// and callees. One instruction at a time; whoever walks decides where to go at a branch.
//
//   symbol      something; two symbols of the same number are the same thing, so that
//               `test rax, rax; je` makes every copy of rax 0 where it jumps
//   constant    this number
//   stack       the function's rsp at entry + this number
//   argument    the n-th argument + this number: mostly a pointer
//
// A tainted value depends on the one that is asked about (`taint`). No allocation, signal-safe.
#pragma once

#include <Zydis/Zydis.h>

#include "lib/base/registers.h"
#include "lib/recover/code_walk.h"

namespace selfheal::recover {

inline constexpr unsigned argument_count = 6;

struct Known {
  enum Kind : u8 { symbol, constant, stack, argument };
  Kind kind = symbol;
  u8 which = 0;            // argument
  bool tainted = false;    //
  bool from_call = false;  // symbol: what the last call returned
  i64 number = 0;

  bool is_constant() const { return kind == constant; }
  bool same(const Known& other) const {
    return kind == other.kind && which == other.which && number == other.number;
  }
};

// A store through a pointer that the function was given.
struct PaperStore {
  u8 argument;
  u8 size;  // bytes
  i32 offset;
  Known value;
};

// What a branch, set or move depends on, as far as known.
enum class Truth : u8 { no, yes, unknown };

class Paper {
 public:
  // Everything is a symbol, but for arguments and rsp.
  void at_entry();
  // Behind a call that returned `value`.
  void behind_call(u64 value);
  // Behind one whose result is not known; what it left so many bytes above rsp.
  void behind_call();
  void leave(i64 at, unsigned size, u64 value);

  // The effect of the instruction last fetched; branches, calls and returns have none but on rsp.
  void execute(const CodeWalk& walk, const ImageView& image);
  // What the callee leaves (System V ABI, 3.2.1).
  void call();
  // What it gets as its n-th argument, 1 to 6; something for 0.
  Known passed(unsigned argument) const;
  // It returned this.
  void set_result(u64 value);
  // A call as well, and it returned `value`, tainted; behind its n-th argument (1 to 6; 0: none) is
  // NULL.
  void call_returned(i64 value, unsigned out_argument);

  // The condition of a conditional jump, set or move.
  Truth condition(const CodeWalk& walk) const;
  // The condition was found to be so: what was compared for equality is equal then.
  void assume(const CodeWalk& walk, bool holds);
  bool flags_are_tainted() const { return left_.tainted || right_.tainted; }
  // The right side of the comparison that the flags come from; of `test r, r`, 0.
  const Known& compared_with() const { return right_; }
  // sbb of a register from itself: 0 or -1, by the carry; a shift that leaves nothing but the sign.
  bool decidable(const CodeWalk& walk, const ImageView& image) const;
  // A set or move (or such an sbb or shift) whose condition was not known, decided by the walker.
  void decide(const CodeWalk& walk, bool holds, const ImageView& image);

  // Constants in registers that are not what they were there.
  void forget_changed_since(const Paper& before);

  const Known& reg(Gpr gpr) const { return registers_[gpr]; }
  // The word of the module's data that the code has loaded it from a short while ago: mostly a
  // pointer that the dynamic linker has put there; 0: not known.
  u64 loaded_from(const Known& value) const;
  bool vector(u64& low) const;  // of xmm0
  Known value_of(const ZydisDecodedOperand& operand, const CodeWalk& walk,
                 const ImageView& image) const;

  // Constants and places only: two states with equal fingerprints go the same way.
  u64 fingerprint() const;

  static constexpr unsigned max_stores = 10;
  PaperStore stores[max_stores];
  u8 store_count = 0;
  bool stores_lost = false;  // one through an argument that is not in the list
  bool gives_away = false;   // the value asked about was stored outside of the frame
  i32 error_number = 0;      // *result_of_last_call = a small constant: errno
  u64 table = 0;             // of jumps relative to it: what was last indexed by something

 private:
  struct Slot {
    i64 at;  // stack
    Known value;
  };
  struct Vector {
    bool known = false;
    u64 low = 0;
    u64 high = 0;
  };
  struct Load {
    i64 symbol = 0;  // that it became
    u64 from = 0;
  };
  enum class Flags : u8 { none, difference, result };

  Known fresh();
  Known address_of_operand(const ZydisDecodedOperand& operand, const CodeWalk& walk) const;
  Known load(const Known& at, unsigned bits, const ImageView& image) const;
  void store(const Known& at, unsigned bits, const Known& value);
  void write(const ZydisDecodedOperand& operand, const CodeWalk& walk, Known value);
  void arithmetic(const CodeWalk& walk, const ImageView& image);
  void compare(const CodeWalk& walk, const ImageView& image);
  bool vector_move(const CodeWalk& walk, const ImageView& image);
  void store_vector(const Known& at, unsigned bits, const Vector& vector);
  void note_table(const ZydisDecodedOperand& from);
  void note_load(const CodeWalk& walk);
  void forget_written(const CodeWalk& walk, const ImageView& image);
  void replace(const Known& from, const Known& to);
  bool has_known_sign(const Known& value) const;

  static constexpr unsigned max_slots = 20;
  static constexpr unsigned max_escaped = 6;
  static constexpr unsigned max_loads = 4;

  Known registers_[gpr_count];
  Vector vectors_[16];
  Slot slots_[max_slots];
  i64 escaped_[max_escaped];  // addresses of the frame that were taken
  Load loads_[max_loads];     // the last ones
  u8 load_next_ = 0;
  u8 slot_count_ = 0;
  u8 slot_next_ = 0;
  u8 escaped_count_ = 0;
  Flags flags_ = Flags::none;
  unsigned width_ = 0;
  Known left_;
  Known right_;
  i64 next_symbol_ = 1;
  i64 signed_symbol_ = 0;  // the symbol whose sign was decided last; 0: none
  bool negative_ = false;
};

}  // namespace selfheal::recover
