// All paths through a function, on paper: depth first, with a stack of states; a state that has
// been at an address with the same constants before is not followed again.
#pragma once

#include "lib/recover/on_paper.h"

namespace selfheal::recover {

struct Path {
  Paper paper;
  u64 at = 0;
  u16 length = 0;
  u16 calls = 0;
  bool passed_fault = false;
  bool cold = false;
  u64 loop = 0;   // the target of its last jump backwards
  Paper at_loop;  // what was known there
};

struct PathVisitor {
  void* context;
  // The path has come to a return, or to a jump to another function (`tail_call`).
  void (*at_exit)(void* context, const Path& path, bool tail_call);
  // It stands before a call, whose effect is the visitor's to make; false: it is not to be followed
  // further.
  bool (*at_call)(void* context, Path& path, const CodeWalk& walk);
};

// The work space is large and static: one at a time in the process.
class Paths {
 public:
  // `site`: see find_own_exits.
  Paths(const image::Function& function, u64 site, const ImageView& image,
        const PathVisitor& visitor)
      : function_(function), site_(site), image_(image), walk_(image, 0), visitor_(visitor) {}

  // Those from `start` on, with so many instructions decoded at most.
  void explore(const Path& start, unsigned budget);

  // Of all that were explored: some were not followed to their end.
  bool exhausted() const { return exhausted_; }
  // One goes on elsewhere, through a pointer.
  bool left() const { return left_; }

 private:
  void push(const Path& path);
  bool seen_before(const Path& path);
  void follow(Path& path);
  void note_fault(Path& path) const;
  bool inside(u64 address) const;
  void branch(const Path& path);
  void note_loop(Path& path, u64 to) const;
  bool is_own_part(u64 to) const;
  bool enter(Path& path, u64 to);
  bool jump(Path& path);
  void switch_to_cases(const Path& path);
  void either(const Path& path);

  const image::Function& function_;
  u64 site_;
  const ImageView& image_;
  CodeWalk walk_;
  PathVisitor visitor_;
  unsigned count_ = 0;
  bool exhausted_ = false;
  bool left_ = false;
};

}  // namespace selfheal::recover
