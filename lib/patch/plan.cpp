#include "lib/patch/plan.h"

#include "lib/patch/relocate.h"

namespace selfheal::patch {
namespace {

constexpr u8 endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

bool starts_with(const u8* bytes, u64 available, const u8* pattern, u64 size) {
  if (available < size) {
    return false;
  }
  for (u64 i = 0; i < size; ++i) {
    if (bytes[i] != pattern[i]) {
      return false;
    }
  }
  return true;
}

// The kernel, gdb and every unwinder know a signal frame by these bytes behind its return address.
bool is_signal_restorer(const Code& code) {
  constexpr u8 with_rex[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};  // mov $15,%rax; syscall
  constexpr u8 without_rex[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};           // mov $15,%eax; syscall
  return starts_with(code.bytes, code.size, with_rex, sizeof with_rex) ||
         starts_with(code.bytes, code.size, without_rex, sizeof without_rex);
}

Refusal refusal_of(Standing standing) {
  switch (standing) {
    case Standing::ordinary:
      return Refusal::none;
    case Standing::cold_part:
      return Refusal::cold_part;
    case Standing::ifunc_resolver:
      return Refusal::ifunc_resolver;
    case Standing::loader:
      return Refusal::loader;
    case Standing::own_runtime:
      return Refusal::own_runtime;
    case Standing::vdso:
      return Refusal::vdso;
    case Standing::signal_restorer:
      return Refusal::signal_restorer;
  }
  return Refusal::undecodable;
}

// Whether an instruction of `code` names an address in [first, last].
Refusal scan(const Code& code, u64 first, u64 last) {
  for (u64 offset = 0; offset < code.size;) {
    ZydisDecodedInstruction instruction;
    if (!decode(code.bytes + offset, code.size - offset, instruction)) {
      return Refusal::undecodable;
    }
    u64 target;
    if (relative_target(instruction, code.address + offset, target) && target >= first &&
        target <= last) {
      return Refusal::branch_into_entry;
    }
    offset += instruction.length;
  }
  return Refusal::none;
}

// Reads the entry, and moves what a patch of `size` bytes covers to the native path.
class Mover {
 public:
  Mover(const Function& function, unsigned skip, unsigned size, u64 native, Plan& plan)
      : code_(function.code),
        gap_(function.gap),
        skip_(skip),
        end_(skip + size),
        to_(plan.native, max_native_size, native),
        plan_(plan) {}

  Refusal run() {
    unsigned offset = skip_;
    while (offset < end_ && offset < code_.size) {
      ZydisDecodedInstruction instruction;
      if (!decode(code_.bytes + offset, code_.size - offset, instruction)) {
        return Refusal::undecodable;
      }
      const Refusal refusal = ended_ ? behind_the_end(instruction) : move(instruction, offset);
      if (refusal != Refusal::none) {
        return refusal;
      }
      offset += instruction.length;
    }
    if (offset < end_) {
      offset = through_padding(offset);
    }
    if (offset < end_) {
      return Refusal::too_short;
    }
    return finish(offset);
  }

 private:
  Refusal move(const ZydisDecodedInstruction& instruction, unsigned offset) {
    const unsigned next = offset + instruction.length;
    if (instruction.meta.category == ZYDIS_CATEGORY_CALL && next < end_) {
      return Refusal::return_into_entry;
    }
    note_move(offset);
    // A moved call returns to the original, not to the copy.
    ended_ = ends_flow(instruction) || instruction.meta.category == ZYDIS_CATEGORY_CALL;
    return relocate(instruction, code_.bytes + offset, code_.address + offset, to_);
  }

  // Code behind an unconditional jump runs only if something jumps to it.
  static Refusal behind_the_end(const ZydisDecodedInstruction& instruction) {
    return is_padding(instruction) ? Refusal::none : Refusal::branch_into_entry;
  }

  unsigned through_padding(unsigned offset) const {
    const u64 limit = code_.size + gap_;
    while (offset < end_) {
      ZydisDecodedInstruction instruction;
      if (!decode(code_.bytes + offset, limit - offset, instruction) || !is_padding(instruction)) {
        break;
      }
      offset += instruction.length;
    }
    return offset;
  }

  Refusal finish(unsigned offset) {
    plan_.resume = code_.address + offset;
    if (!ended_) {
      note_move(offset);
      to_.jump(plan_.resume);
    }
    plan_.native_size = static_cast<u8>(to_.size());
    return to_.overflow() ? Refusal::immovable : Refusal::none;
  }

  void note_move(unsigned original_offset) {
    plan_.moves[plan_.move_count++] = {static_cast<u8>(to_.size()),
                                       static_cast<u8>(original_offset)};
  }

  const Code& code_;
  u64 gap_;
  unsigned skip_;
  unsigned end_;
  Emitter to_;
  Plan& plan_;
  bool ended_ = false;
};

Refusal plan_jump(const Function& function, unsigned skip, u64 stub, u64 native, Plan& plan) {
  const Refusal refusal = Mover(function, skip, jump_size, native, plan).run();
  if (refusal != Refusal::none) {
    return refusal;
  }
  const i64 distance = static_cast<i64>(stub - (plan.at + jump_size));
  if (distance != static_cast<i32>(distance)) {
    return Refusal::out_of_reach;
  }
  const u64 first = plan.at + 1;
  const u64 last = plan.at + jump_size - 1;
  const Refusal scanned = scan(function.code, first, last);
  if (scanned != Refusal::none) {
    return scanned;
  }
  Emitter(plan.patched, jump_size, plan.at).jump(stub);
  plan.how = How::jump;
  plan.size = jump_size;
  plan.single = plan.moves[1].original_offset >= skip + jump_size || plan.move_count == 1;
  return Refusal::none;
}

Plan empty_plan(const Function& function, unsigned skip) {
  Plan plan{};
  plan.at = function.code.address + skip;
  for (unsigned i = 0; i < jump_size && skip + i < function.code.size + function.gap; ++i) {
    plan.original[i] = function.code.bytes[skip + i];
  }
  return plan;
}

Refusal precheck(const Function& function, unsigned skip) {
  const Refusal by_standing = refusal_of(function.standing);
  if (by_standing != Refusal::none) {
    return by_standing;
  }
  if (function.recorded_hash != function.present_hash) {
    return Refusal::hash_mismatch;
  }
  if (is_signal_restorer(function.code)) {
    return Refusal::signal_restorer;
  }
  if (function.code.size <= skip) {
    return Refusal::too_short;
  }
  return function.code.bytes[skip] == 0xcc ? Refusal::foreign_patch : Refusal::none;
}

Plan plan_with(const Function& function, u64 stub, u64 native, bool may_jump) {
  const Code& code = function.code;
  const unsigned skip =
      starts_with(code.bytes, code.size, endbr64, sizeof endbr64) ? sizeof endbr64 : 0;
  Plan plan = empty_plan(function, skip);
  plan.refusal = precheck(function, skip);
  if (plan.refusal != Refusal::none) {
    return plan;
  }
  if (may_jump) {
    Plan jump = plan;
    const Refusal refusal = plan_jump(function, skip, stub, native, jump);
    if (refusal == Refusal::none) {
      return jump;
    }
    plan.refusal = refusal;
  }
  Plan trap = plan;
  const Refusal refusal = Mover(function, skip, 1, native, trap).run();
  if (refusal != Refusal::none) {
    plan.refusal = plan.refusal == Refusal::none ? refusal : plan.refusal;
    return plan;
  }
  trap.how = How::trap;
  trap.size = 1;
  trap.single = true;
  trap.patched[0] = 0xcc;
  return trap;
}

}  // namespace

bool names(const Code& code, u64 first, u64 last) {
  return scan(code, first, last) == Refusal::branch_into_entry;
}

Plan plan(const Function& function, u64 stub, u64 native) {
  return plan_with(function, stub, native, true);
}

Plan plan_trap(const Function& function, u64 stub, u64 native) {
  return plan_with(function, stub, native, false);
}

const char* text_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::none:
      return "none";
    case Refusal::too_short:
      return "shorter than a jump, with no padding behind";
    case Refusal::branch_into_entry:
      return "a branch leads into the bytes the jump would take";
    case Refusal::return_into_entry:
      return "a call returns into the bytes the jump would take";
    case Refusal::out_of_reach:
      return "an operand is out of reach from where stubs can be";
    case Refusal::immovable:
      return "its first instructions cannot be moved";
    case Refusal::cold_part:
      return "a split-off part of another function";
    case Refusal::ifunc_resolver:
      return "an IFUNC resolver, run by the loader";
    case Refusal::loader:
      return "belongs to the dynamic loader";
    case Refusal::own_runtime:
      return "belongs to libselfheal or its decoder";
    case Refusal::vdso:
      return "belongs to the kernel's vdso";
    case Refusal::signal_restorer:
      return "returns from signal handlers";
    case Refusal::hash_mismatch:
      return "its code is not the code that was recorded";
    case Refusal::undecodable:
      return "contains bytes that are no instructions";
    case Refusal::foreign_patch:
      return "a breakpoint is already there";
    case Refusal::no_code_memory:
      return "no memory for code within reach";
    case Refusal::write_failed:
      return "the system does not let its code be changed";
    case Refusal::table_full:
      return "as many functions as can be are patched";
    case Refusal::busy:
      return "another thread is patching";
    case Refusal::threads_unknown:
      return "other threads run and /proc does not tell where";
    case Refusal::trap_blocked:
      return "a thread has SIGTRAP blocked";
  }
  return "unknown";
}

}  // namespace selfheal::patch
