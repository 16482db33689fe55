// Memory for generated code that is never writable and executable at once (DESIGN.md, invariant 2).
//
//      one memfd, two mappings
//      ┌────────────────────────┐
//      │ writer view   R W -    │  anywhere; only the emitter knows it
//      ├────────────────────────┤   same pages
//      │ execute view  R - X    │  within +-2 GiB of `near`, so rel32 jumps reach it
//      └────────────────────────┘
//
// Both views are made up front (a sandbox may refuse PROT_EXEC later) and pages cost memory only
// once written. A fork child shares the pages, but does not get the writer view (MADV_DONTFORK): a
// worker that was broken into must not be able to change code its parent runs. So the child must
// call `detach` before it writes: it replaces the execute view, at the same address, by a private
// copy of what is in use, and makes a new writer view.
//
// Not thread-safe: callers serialise `allocate`. Nothing here uses malloc or errno.
#pragma once

#include "lib/base/types.h"

namespace selfheal {

class CodeMemory {
 public:
  CodeMemory() = default;
  CodeMemory(const CodeMemory&) = delete;
  CodeMemory& operator=(const CodeMemory&) = delete;

  // Maps `size` bytes (a multiple of the page size). `near` = 0: anywhere. False, with nothing left
  // mapped, when there is no free address range in reach or the system refuses.
  bool map(u64 near, u64 size);

  // Unmaps both views; every pointer into them is dead.
  void unmap();

  // Takes `size` bytes, aligned to `alignment` (a power of two, at most a page); 0 when full.
  // The result is an address in the execute view.
  u64 allocate(u64 size, u64 alignment = 16);

  // Gives back everything allocated after `mark` (a former value of `used`). Nobody may be running
  // it.
  u64 used() const { return used_; }
  void rewind(u64 mark) { used_ = mark; }

  // Where to write the byte that will be executed at `address`.
  u8* writable(u64 address) const { return pointer_to<u8>(address - execute_ + write_); }

  bool contains(u64 address) const { return address - execute_ < size_; }
  bool mapped() const { return size_ != 0; }
  u64 base() const { return execute_; }
  u64 size() const { return size_; }

  // In a fork child: see the head of the file. False: what is there stays and can be executed, but
  // nothing can be written or allocated any more.
  bool detach();

 private:
  u64 write_ = 0;
  u64 execute_ = 0;
  u64 size_ = 0;
  u64 used_ = 0;
};

// True when a rel32 operand at any instruction in [from, from+reach) can name `to`.
inline bool within_rel32(u64 from, u64 to) {
  const i64 distance = static_cast<i64>(to - from);
  return distance >= -0x7fff0000LL && distance <= 0x7fff0000LL;
}

}  // namespace selfheal
