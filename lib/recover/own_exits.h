// How a function ends: what it returns, and what it leaves behind pointers it was given, on each of
// its paths. A function that refuses mostly does so before it begins to work, so the exits that are
// reached without passing the faulting instruction are how it says no.
//
//   int parse(const char* text, struct header* out) {
//     if (text == NULL) return -1;         exit -1, avoids the fault
//     out->next = NULL;
//     if (*text != '<') return -2;         exit -2, avoids it; *(out + 8) = 0
//     ...                                  the fault
//     return 0;                            exit 0, behind the fault
//   }
//
// So are those behind a call of a library's function that has failed (library_failures.h):
//
//     out->copy = strdup(text);
//     if (out->copy == NULL) return -3;    exit -3, a failed call leads there
#pragma once

#include "lib/base/standard_exception.h"
#include "lib/recover/image_view.h"

namespace selfheal::recover {

inline constexpr unsigned max_exits = 14;
inline constexpr unsigned max_exit_stores = 8;
inline constexpr unsigned max_own_throws = 4;

// A status of HTTP that is an error.
constexpr bool is_error_status(u64 value) {
  return value >= 400 && value < 600;
}

// A word left behind a pointer argument.
struct ExitStore {
  u8 argument;
  u8 size;   // bytes: 1, 2, 4, 8
  u8 based;  // 1: the value is argument `base` + value, as a string's pointer into itself
  u8 base;
  i32 offset;
  u64 value;
};

struct Exit {
  enum Kind : u8 {
    constant,        // `value` in rax
    first_argument,  // rax is the first argument: mostly a hidden pointer to the result
    other            // something
  };
  u64 value;
  u64 second;         // rdx, if `has_second`
  u64 vector;         // xmm0, if `has_vector`
  i32 error_number;   // errno, where it is set to a constant; 0
  i32 library_error;  // errno as a library's function leaves it that failed on the way there; 0
  u16 length;         // instructions from the entry, of the shortest such path seen
  u16 calls;
  Kind kind;
  bool has_second;
  bool has_vector;
  bool avoids_fault;  // reached without passing the fault
  bool behind_fault;  // reached passing it
  bool cold;
  u8 failed_calls;     // of a library's functions: when one fails, this is how it ends
  bool faulting_call;  // the one that faulted is among them
  bool whole;          // `stores` are all there are, each of a known value
  u8 store_count;
  ExitStore stores[max_exit_stores];
};

// One that is no return: an exception of the function's own leaves it.
struct OwnThrow {
  u64 type;              // its std::type_info
  u64 thrower;           // libstdc++'s function that throws ...
  StandardException as;  // ... the same, or its nearest base (throwing.h)
  bool avoids_fault;
  u16 length;  // see Exit
};

struct OwnExits {
  Exit exits[max_exits];
  u8 count;
  bool analysed;
  bool returns;    // some path returns or goes on in another function: else it is like abort()
  bool exhausted;  // the budget was: there may be more exits
  u32 extent;      // bytes from the first argument on that are written on some path
  u8 throw_count;
  OwnThrow throws[max_own_throws];  // those that avoid the fault first, then by the path's length

  const Exit* begin() const { return exits; }
  const Exit* end() const { return exits + count; }

  // Numbers: 1, and nothing but 1 and 0. 0 is often a variable that was tested, and not to be seen.
  bool is_truth_value() const;
  // Numbers: 0 to 2 or more and nothing else, the longer the path the higher: a loop that counts,
  // unrolled.
  bool is_count() const;
  // Numbers: codes above 1, and nothing negative.
  bool is_enumeration() const;
  // Numbers: error statuses of HTTP, beside codes of 0 or less.
  bool has_statuses() const;
  // Something is known, but `value` is not among it.
  bool speaks_against(i64 value) const;
  // One more; those that return the same are kept as one.
  void add(const Exit& exit);
  void add(const OwnThrow& own_throw);
  // An exit of which nothing else is known.
  void add_constant(i64 value);
};

// Nobody who looks at the results could tell them apart.
bool same_result(const Exit& a, const Exit& b);

// Walks the function's paths on paper. `site` is the faulting instruction in it, or the return
// address of the call that faulted; 0: unknown, and no exit is said to avoid it or to lie behind
// it. False, and nothing known, while another thread is at it: the work space is large and static.
// Signal-safe otherwise. Bounded: at most 6000 instructions, and 320 more for each of twelve calls
// of a library's functions.
bool find_own_exits(const image::Function& function, u64 site, const ImageView& image,
                    OwnExits& out);

}  // namespace selfheal::recover
