// What a C++ function's language-specific data area says of exceptions that pass it (Itanium C++
// ABI: Exception Handling, section 2.5.2 and its appendix on the LSDA; GCC's except.cc writes it,
// LLVM the same).
//
//   call sites          [begin, end) ─► landing pad, first action     sorted by address
//   actions             filter, next ─► filter, next ─► …            0: clean up; 1, 2 …: a catch
//   types                    … type 2, type 1                         by the filter, backwards
//
// Signal-safe; a damaged table has no call sites, or no types.
#pragma once

#include "lib/image/cfi.h"
#include "lib/image/reader.h"

namespace selfheal::recover {

struct Lsda {
  u64 pads;           // what landing pads count from
  u8 encoding;        // of the call sites
  u64 sites;          // table of call sites
  u64 actions;        // behind it
  u64 types;          // the end of the table of types; 0: there is none
  u8 types_encoding;  //
};

bool open_lsda(const image::Module& module, const image::FrameEntry& entry, Lsda& lsda);

struct LandingSite {
  u64 begin;
  u64 end;
  u64 pad;      // 0: none
  u64 actions;  // where its chain of them begins; 0: it only cleans up
};

class LandingSites {
 public:
  LandingSites(const image::Module& module, const image::FrameEntry& entry, const Lsda& lsda)
      : entry_(entry), lsda_(lsda), reader_(module, lsda.sites, lsda.actions) {}

  // In the order of their addresses. False: there are no more, or the table is damaged.
  bool next(LandingSite& site);

 private:
  const image::FrameEntry& entry_;
  const Lsda& lsda_;
  image::Reader reader_;
};

// A chain of actions, in the order in which they are asked.
class Actions {
 public:
  Actions(const image::Module& module, const LandingSite& site)
      : module_(module), at_(site.actions) {}

  // Above 0: it catches; 0: it cleans up; below: it checks what may be thrown. False: there are no
  // more, or (`damaged`) it makes no sense.
  bool next(i64& filter);
  bool damaged() const { return damaged_; }

 private:
  static constexpr unsigned longest = 64;

  const image::Module& module_;
  u64 at_;
  unsigned count_ = 0;
  bool damaged_ = false;
};

// The std::type_info that a filter above 0 stands for; 0: everything is caught. False: damaged.
bool type_of_filter(const image::Module& module, const Lsda& lsda, i64 filter, u64& type);

}  // namespace selfheal::recover
