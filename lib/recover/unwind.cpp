// One step outwards:
//
//        higher addresses
//      ┌──────────────────┐
//      │ caller's frame   │
//      ├──────────────────┤ ◄── CFA: what the caller's rsp will be after the return
//      │ return address   │     rip of the outer frame
//      │ saved rbp, rbx.. │     where the row says: CFA - 16, CFA - 24, ...
//      │ locals           │
//      └──────────────────┘ ◄── rsp of the inner frame
//
// libunwind does the same, but it trusts the stack: a smashed frame pointer makes it fault, a
// damaged table makes it abort, and its caches take locks. Here every load is checked instead.
#include "lib/recover/unwind.h"

#include "lib/image/cfi.h"
#include "lib/image/module.h"
#include "lib/recover/cfi_row.h"
#include "lib/recover/dwarf_expression.h"

namespace selfheal::recover {
namespace {

constexpr Gpr gpr_of_dwarf[16] = {rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp,
                                  r8,  r9,  r10, r11, r12, r13, r14, r15};

class Step {
 public:
  Step(const Frame& inner, const StackBounds& bounds, Frame& outer, CallSites* known)
      : inner_(inner), bounds_(bounds), outer_(outer), known_(known) {
    for (unsigned i = 0; i < 16; ++i) {
      dwarf_[i] = inner.registers.gpr[gpr_of_dwarf[i]];
    }
    dwarf_[dwarf_return_address] = inner.registers.rip;
  }

  bool run() {
    image::Module module;
    const u64 address = inner_.lookup_address();
    if (const CallSite* site = known_ != nullptr ? known_->find(address) : nullptr) {
      return apply(nullptr, *site);
    }
    if (!image::locate_module(address, module) || !module.executable(address)) {
      return return_address_on_top();
    }
    image::FrameEntry entry;
    if (!image::frame_entry_of(module, address, entry)) {
      return without_frame_information();
    }
    CallSite site;
    if (entry.return_register != dwarf_return_address ||
        !find_row(module, entry, address, site.row)) {
      return false;
    }
    site.address = address;
    site.part = entry.start;
    site.signal_frame = entry.signal_frame;
    if (known_ != nullptr) {
      known_->keep(site);
    }
    return apply(&module, site);
  }

 private:
  // Only expressions need the module.
  bool apply(const image::Module* module, const CallSite& site) {
    const Row& row = site.row;
    if (row.rules[dwarf_return_address].kind == Rule::undefined) {
      return false;
    }
    u64 cfa = 0;
    if (row.cfa_by_expression) {
      if (!evaluate(*module, row.cfa_expression, dwarf_, bounds_, nullptr, cfa)) {
        return false;
      }
    } else if (row.cfa_register < 16 && knows(gpr_of_dwarf[row.cfa_register])) {
      cfa = dwarf_[row.cfa_register] + row.cfa_offset;
    } else {
      return false;
    }
    outer_.registers = inner_.registers;
    outer_.known = static_cast<u16>(inner_.known & callee_saved);
    set(rsp, cfa);
    for (unsigned i = 0; i < dwarf_register_count; ++i) {
      if (!restore(module, row.rules[i], cfa, i)) {
        return false;
      }
    }
    outer_.exact = site.signal_frame;
    return plausible();
  }

  // Register number `i` of the caller, by its rule. False only where that cannot be evaluated. A
  // register that was popped already may lie in a page below the stack: it is not known then.
  bool restore(const image::Module* module, const Rule& rule, u64 cfa, unsigned i) {
    u64 value = 0;
    switch (rule.kind) {
      case Rule::unspecified:
      case Rule::same:
        return true;
      case Rule::undefined:
        outer_.known = static_cast<u16>(outer_.known & ~(1u << gpr_of_dwarf[i]));
        return true;
      case Rule::offset:
        if (!load(bounds_, cfa + rule.value, value)) {
          outer_.known = static_cast<u16>(outer_.known & ~(1u << gpr_of_dwarf[i % 16]));
          return i != dwarf_return_address;
        }
        break;
      case Rule::value_offset:
        value = cfa + rule.value;
        break;
      case Rule::other_register:
        if (rule.value >= 16 || !knows(gpr_of_dwarf[rule.value])) {
          return false;
        }
        value = dwarf_[rule.value];
        break;
      case Rule::expression:
        if (!evaluate(*module, rule.value, dwarf_, bounds_, &cfa, value) ||
            !load(bounds_, value, value)) {
          return false;
        }
        break;
      case Rule::value_expression:
        if (!evaluate(*module, rule.value, dwarf_, bounds_, &cfa, value)) {
          return false;
        }
        break;
    }
    if (i == dwarf_return_address) {
      outer_.registers.rip = value;
    } else {
      set(gpr_of_dwarf[i], value);
    }
    return true;
  }

  // After a call or jump through a bad pointer: nothing of the callee has run, so the return
  // address is on top of the stack and all callee-saved registers are still the caller's.
  bool return_address_on_top() {
    return inner_.exact && take_return_address(inner_.registers.gpr[rsp]);
  }

  // Assembler without CFI. At its first instruction the return address is on top; later it may have
  // kept a frame pointer. Anything else is a guess too far.
  bool without_frame_information() {
    if (inner_.exact && take_return_address(inner_.registers.gpr[rsp]) &&
        follows_a_call(outer_.registers.rip)) {
      return true;
    }
    u64 saved = 0;
    const u64 frame = inner_.registers.gpr[rbp];
    if (!knows(rbp) || frame < inner_.registers.gpr[rsp] || !load(bounds_, frame, saved) ||
        !take_return_address(frame + 8) || !follows_a_call(outer_.registers.rip)) {
      return false;
    }
    set(rbp, saved);
    outer_.known = static_cast<u16>(1u << rbp | 1u << rsp);
    return true;
  }

  bool take_return_address(u64 slot) {
    outer_.registers = inner_.registers;
    outer_.known = static_cast<u16>(inner_.known & callee_saved);
    outer_.exact = false;
    if (!load(bounds_, slot, outer_.registers.rip)) {
      return false;
    }
    set(rsp, slot + 8);
    return plausible();
  }

  bool plausible() const {
    return outer_.registers.gpr[rsp] > inner_.registers.gpr[rsp] &&
           outer_.registers.gpr[rsp] <= bounds_.high && is_code(outer_.lookup_address());
  }

  bool is_code(u64 address) const {
    return (known_ != nullptr && known_->find(address) != nullptr) || image::executable(address);
  }

  bool knows(Gpr gpr) const { return (inner_.known >> gpr & 1) != 0; }

  void set(Gpr gpr, u64 value) {
    outer_.registers.gpr[gpr] = value;
    outer_.known = static_cast<u16>(outer_.known | 1u << gpr);
  }

  const Frame& inner_;
  const StackBounds& bounds_;
  Frame& outer_;
  CallSites* const known_;
  u64 dwarf_[dwarf_register_count];
};

}  // namespace

// The code bytes in front of a genuine return address are a call (Intel SDM vol. 2, CALL: E8 rel32,
// or FF /2 with 2 to 7 bytes).
bool follows_a_call(u64 return_address) {
  u8 bytes[7];
  if (image::read_original(return_address - sizeof bytes, bytes, sizeof bytes) != sizeof bytes) {
    return false;
  }
  if (bytes[2] == 0xe8) {
    return true;
  }
  for (unsigned i = 0; i < 6; ++i) {
    if (bytes[i] == 0xff && (bytes[i + 1] & 0x38) == 0x10) {
      return true;
    }
  }
  return false;
}

bool step(const Frame& inner, const StackBounds& bounds, Frame& outer, CallSites* known) {
  return Step(inner, bounds, outer, known).run();
}

unsigned unwind(const Registers& start, const StackBounds& bounds, std::span<Frame> frames) {
  if (frames.empty()) {
    return 0;
  }
  frames[0].registers = start;
  frames[0].known = 0xffff;
  frames[0].exact = true;
  unsigned count = 1;
  while (count < frames.size() && step(frames[count - 1], bounds, frames[count])) {
    ++count;
  }
  return count;
}

}  // namespace selfheal::recover
