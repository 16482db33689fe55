// Whose is this split-off part?
//
//   hot:   ...                      .text.unlikely:
//          test rax, rax            hot.cold:  (own FDE, frame already set up)
//          je  hot.cold ──────────►    mov eax, [rax]      <- the fault
//          ...            ◄────────── jmp hot+0x4c
//
// Stock binaries have no symbol to tell. But the one way into a part is a branch with a 32-bit
// displacement out of its function, and x86 text can be searched for those at memory speed: every
// four bytes are taken for a displacement and tested for landing in the part. What looks like a
// branch may be the middle of another instruction, so a find counts only when decoding the function
// it lies in, from its start, arrives there.
#include "lib/image/decoder.h"
#include "lib/image/displacements.h"
#include "lib/image/function.h"
#include "lib/image/reader.h"
#include "lib/image/symbols.h"

namespace selfheal::image {
namespace {

constexpr unsigned max_confirmations = 256;

// How control comes into [start, start + size) from other functions.
class Entrances {
 public:
  Entrances(const Module& module, u64 start, u64 size, const Function& part)
      : module_(module), start_(start), size_(static_cast<u32>(size)), part_(part) {
    for (unsigned i = 0; i < module.segment_count; ++i) {
      const Segment& segment = module.segments[i];
      if ((segment.flags & (PF_X | PF_R)) == (PF_X | PF_R)) {
        for_each_displacement(segment, start_, size_,
                              [this](u64 displacement) { consider(displacement); });
      }
    }
  }

  bool called = false;
  bool address_taken = false;
  bool branched_conditionally = false;
  bool has_parent = false;
  Function parent{};

 private:
  // The four bytes at `displacement` could be a branch into the range.
  void consider(u64 displacement) {
    const u8 before = *pointer_to<const u8>(displacement - 1);
    const u8 opcode = *pointer_to<const u8>(displacement - 2);
    if (part_.holds(displacement)) {
      return;
    }
    if (opcode == 0x8d && (before & 0xc7) == 0x05) {  // lea reg, [rip + displacement]
      address_taken = true;
      return;
    }
    const bool call = before == 0xe8;
    const bool conditional = opcode == 0x0f && (before & 0xf0) == 0x80;
    const u64 instruction = displacement - (conditional ? 2 : 1);
    if ((!call && !conditional && before != 0xe9) || confirmations_ == max_confirmations) {
      return;
    }
    ++confirmations_;
    Function from;
    if (!find_function(module_, instruction, from) ||
        !reached_by_decoding(module_, from, instruction)) {
      return;
    }
    called = called || call;
    branched_conditionally = branched_conditionally || conditional;
    if (!call && (!has_parent || (parent.cold && !from.cold))) {
      has_parent = true;
      parent = from;
    }
  }

  const Module& module_;
  u64 start_;
  u32 size_;
  const Function& part_;
  unsigned confirmations_ = 0;
};

// The function in whose middle the part's own branches end.
bool jumps_back_into(const Module& module, const Function& part, Function& parent) {
  Decoder decoder;
  for (u64 at = part.start; at < part.end() && decoder.decode(module, at, part.end());
       at += decoder.instruction.length) {
    const u64 target = decoder.target(at);
    if (target != 0 && !part.holds(target) && find_function(module, target, parent) &&
        parent.start != target && !parent.cold) {
      return true;
    }
  }
  return false;
}

bool parent_by(const Entrances& entrances, const Module& module, const Function& part,
               Function& parent) {
  if (entrances.called) {
    return false;
  }
  if (entrances.has_parent && !entrances.parent.cold) {
    parent = entrances.parent;
    return true;
  }
  return jumps_back_into(module, part, parent);
}

bool is_only_ud2(const Module& module, const Function& part) {
  u8 bytes[2];
  u64 at = part.start;
  while (at < part.end() && read_original(module, at, bytes, sizeof bytes) && bytes[0] == 0x0f &&
         bytes[1] == 0x0b) {
    at += sizeof bytes;
  }
  return at == part.end();
}

}  // namespace

bool parent_of_cold(const Module& module, const Function& part, Function& parent) {
  return parent_by(Entrances(module, part.start, part.size, part), module, part, parent);
}

bool find_owner(const Module& module, u64 address, Function& owner, bool& in_cold_part) {
  in_cold_part = false;
  Function function;
  if (!find_function(module, address, function)) {
    owner = function;
    return false;
  }
  owner = function;
  if (function.signal_frame) {
    return true;
  }
  if (!function.cold) {
    // A part that runs before its function has set up a frame looks like any function. It has no
    // name of its own, nobody calls it or takes its address, and a condition decides to enter it;
    // or there is nothing in it but the end of all paths that lead there.
    Symbol symbol;
    if (symbol_at(module, function.start, symbol) && symbol.address == function.start) {
      return true;
    }
    const Entrances entrances(module, function.start, 1, function);
    if ((!entrances.branched_conditionally && !is_only_ud2(module, function)) ||
        entrances.address_taken || !parent_by(entrances, module, function, owner)) {
      owner = function;
      return true;
    }
  } else if (!parent_of_cold(module, function, owner)) {
    owner = function;
    return true;
  }
  in_cold_part = true;
  return true;
}

}  // namespace selfheal::image
