#include "cli/campaign/faults.h"

#include <Zydis/Zydis.h>
#include <algorithm>
#include <cstring>
#include <set>

namespace selfheal::cli::campaign {
namespace {

constexpr std::array<u8, 4> endbr64 = {0xf3, 0x0f, 0x1e, 0xfa};
constexpr u8 nop = 0x90;

std::vector<u8> code_of(Kind kind) {
  switch (kind) {
    case Kind::null:
      return {0x31, 0xc0, 0x8b, 0x00};  // xor %eax, %eax; mov (%rax), %eax
    case Kind::div:
      return {0x31, 0xc9, 0xf7, 0xf9};  // xor %ecx, %ecx; idiv %ecx
    case Kind::ud2:
      return {0x0f, 0x0b};
    case Kind::abort:
      // tkill(gettid(), SIGABRT), to the thread itself, as abort() does it, for who cannot call
      // that. What is sent to the process may interrupt another thread of it, where it is nobody's
      // fault.
      return {0x31, 0xc0, 0xb0, 0xba, 0x0f, 0x05,  // xor %eax, %eax; mov $186, %al; syscall
              0x97,                                // xchg %eax, %edi
              0x6a, 0x06, 0x5e,                    // push $6; pop %rsi
              0x89, 0xf0, 0xb0, 0xc8, 0x0f, 0x05,  // mov %esi, %eax; mov $200, %al; syscall
              0x0f, 0x0b};                         // ud2, where SIGABRT does not end it
    case Kind::loop:
      return {0xeb, 0xfe};  // jmp .
    case Kind::invert:
      break;
  }
  return {};
}

// Of the instruction that faults, or behind which the signal finds the thread.
u64 fault_offset(Kind kind) {
  switch (kind) {
    case Kind::null:
    case Kind::div:
      return 2;
    case Kind::abort:
      return 16;
    case Kind::ud2:
    case Kind::loop:
    case Kind::invert:
      break;
  }
  return 0;
}

struct Instruction {
  u64 address;
  u8 length;
  bool stores;  // to memory that is not addressed by rsp
  bool jcc;
  bool goes_on;  // to the next one, and nowhere else
};

// Linear from the part's start; ends early at bytes that are no code.
class Sweep {
 public:
  Sweep(const Binary& binary, const Binary::Part& part) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    const std::span<const u8> code = binary.bytes(part.start, part.size);
    ZydisDecodedInstruction decoded;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    for (u64 at = 0; at < code.size(); at += decoded.length) {
      if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code.data() + at, code.size() - at,
                                               &decoded, operands))) {
        whole_ = false;
        return;
      }
      note(part.start + at, decoded, operands);
    }
  }

  const std::vector<Instruction>& instructions() const { return instructions_; }
  const std::vector<u64>& targets() const { return targets_; }
  bool whole() const { return whole_; }

 private:
  void note(u64 address, const ZydisDecodedInstruction& decoded,
            const ZydisDecodedOperand* operands) {
    Instruction result{address, decoded.length, false, false, true};
    const ZydisInstructionCategory category = decoded.meta.category;
    result.goes_on = category != ZYDIS_CATEGORY_COND_BR && category != ZYDIS_CATEGORY_UNCOND_BR &&
                     category != ZYDIS_CATEGORY_CALL && category != ZYDIS_CATEGORY_RET;
    result.jcc = decoded.meta.category == ZYDIS_CATEGORY_COND_BR &&
                 (decoded.opcode_map == ZYDIS_OPCODE_MAP_0F ? (decoded.opcode & 0xf0) == 0x80
                                                            : (decoded.opcode & 0xf0) == 0x70);
    for (unsigned i = 0; i < decoded.operand_count; ++i) {
      const ZydisDecodedOperand& operand = operands[i];
      if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand.imm.is_relative) {
        targets_.push_back(address + decoded.length + static_cast<u64>(operand.imm.value.s));
      }
      result.stores = result.stores || (operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
                                        operand.mem.type == ZYDIS_MEMOP_TYPE_MEM &&
                                        operand.mem.base != ZYDIS_REGISTER_RSP &&
                                        (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0);
    }
    instructions_.push_back(result);
  }

  std::vector<Instruction> instructions_;
  std::vector<u64> targets_;
  bool whole_ = true;
};

bool prefixed(const Binary& binary, u64 address) {
  const std::span<const u8> code = binary.bytes(address, endbr64.size());
  return std::equal(code.begin(), code.end(), endbr64.begin(), endbr64.end());
}

// From `address` to the next of these, or the end.
u64 distance(u64 address, u64 end, const std::set<u64>& to) {
  const auto next = to.upper_bound(address);
  return (next == to.end() ? end : std::min(end, *next)) - address;
}

// Where something is pushed or popped, or the frame is changed in another way.
std::set<u64> frame_changes(const Binary& binary, const std::vector<Instruction>& instructions) {
  std::set<u64> changes;
  for (size_t i = 1; i < instructions.size(); ++i) {
    if (!binary.same_frame(instructions[i - 1].address, instructions[i].address)) {
      changes.insert(instructions[i].address);
    }
  }
  return changes;
}

// The last change of the frame that every call goes by; 0: the frame is not changed there.
u64 end_of_prologue(const std::vector<Instruction>& instructions, const std::set<u64>& changes,
                    const std::set<u64>& targets) {
  u64 end = 0;
  for (const Instruction& instruction : instructions) {
    if (targets.count(instruction.address) != 0) {
      break;
    }
    end = changes.count(instruction.address) != 0 ? instruction.address : end;
    if (!instruction.goes_on) {
      break;
    }
  }
  return end;
}

void add_places(const Binary& binary, const Binary::Part& part, const Sweep& sweep,
                const std::set<u64>& targets, std::vector<Place>& places) {
  const u64 end = part.start + part.size;
  const std::set<u64> changes = frame_changes(binary, sweep.instructions());
  const auto add = [&](u64 address, Position position) {
    places.push_back({address, part.function, position, distance(address, end, targets),
                      distance(address, end, changes)});
  };
  const u64 entry = part.start + (prefixed(binary, part.start) ? endbr64.size() : 0);
  const u64 behind_prologue =
      part.cold ? 0 : end_of_prologue(sweep.instructions(), changes, targets);
  if (!part.cold && entry < end) {
    add(entry, Position::entry);
  }
  if (behind_prologue > entry) {
    add(behind_prologue, Position::entry);
  }
  // Where the sweep met bytes that are no code, what it decoded before may be data, too.
  if (!sweep.whole()) {
    return;
  }
  bool behind_store = false;
  for (const Instruction& instruction : sweep.instructions()) {
    if (instruction.jcc) {
      places.push_back({instruction.address, part.function, Position::jump, instruction.length,
                        instruction.length});
    } else if (behind_store && instruction.address != part.start &&
               instruction.address != behind_prologue) {
      add(instruction.address, Position::middle);
    }
    behind_store = instruction.stores;
  }
}

// call *slot(%rip); and ud2, as abort() does not return.
std::vector<u8> call_of(u64 slot, u64 address) {
  std::vector<u8> code = {0xff, 0x15, 0, 0, 0, 0, 0x0f, 0x0b};
  const u32 distance = static_cast<u32>(slot - (address + 6));
  std::memcpy(code.data() + 2, &distance, sizeof distance);
  return code;
}

// How many bytes to `size` or to the end of the instruction it ends in: what is behind the fault is
// the function's own code again, and not the tail of an instruction.
u64 to_boundary(const Binary& binary, const Place& place, u64 size) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  const std::span<const u8> code = binary.bytes(place.address, place.room);
  u64 at = 0;
  while (at < size) {
    ZydisDecodedInstruction decoded;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, nullptr, code.data() + at,
                                                    code.size() - at, &decoded))) {
      return size;
    }
    at += decoded.length;
  }
  return at;
}

// The condition of the conditional jump, negated: bit 0 of the opcode's last byte (Intel SDM 2,
// appendix B.1.4.7). Branch prefixes may stand before it.
std::vector<u8> inverted(std::span<const u8> code) {
  std::vector<u8> changed(code.begin(), code.end());
  for (size_t i = 0; i < changed.size(); ++i) {
    if ((changed[i] & 0xf0) == 0x70 && (i == 0 || changed[i - 1] != 0x0f)) {
      changed[i] ^= 1;
      break;
    }
    if (changed[i] == 0x0f && i + 1 < changed.size() && (changed[i + 1] & 0xf0) == 0x80) {
      changed[i + 1] ^= 1;
      break;
    }
  }
  return changed;
}

}  // namespace

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::null:
      return "null";
    case Kind::div:
      return "div";
    case Kind::ud2:
      return "ud2";
    case Kind::abort:
      return "abort";
    case Kind::loop:
      return "loop";
    case Kind::invert:
      return "invert";
  }
  return "?";
}

std::optional<Kind> kind_named(std::string_view name) {
  for (const Kind kind : all_kinds) {
    if (name == name_of(kind)) {
      return kind;
    }
  }
  return std::nullopt;
}

const char* name_of(Position position) {
  switch (position) {
    case Position::entry:
      return "entry";
    case Position::middle:
      return "middle";
    case Position::jump:
      return "jump";
  }
  return "?";
}

std::vector<Place> find_places(const Binary& binary) {
  std::vector<Sweep> sweeps;
  std::set<u64> targets;
  for (const Binary::Part& part : binary.parts()) {
    sweeps.emplace_back(binary, part);
    targets.insert(sweeps.back().targets().begin(), sweeps.back().targets().end());
  }
  std::vector<Place> places;
  for (size_t i = 0; i < sweeps.size(); ++i) {
    add_places(binary, binary.parts()[i], sweeps[i], targets, places);
  }
  return places;
}

bool fits(Kind kind, const Place& place) {
  return (kind == Kind::invert) == (place.position == Position::jump) &&
         code_of(kind).size() <= place.room && fault_offset(kind) < place.steady;
}

Binary::Patch patch_for(Kind kind, const Place& place, const Binary& binary) {
  if (kind == Kind::invert) {
    return {place.address, inverted(binary.bytes(place.address, place.room))};
  }
  const bool calls = kind == Kind::abort && binary.abort_slot() && binary.may_call(place.address);
  const std::vector<u8> fault =
      calls ? call_of(*binary.abort_slot(), place.address) : code_of(kind);
  std::vector<u8> code(to_boundary(binary, place, fault.size()), nop);
  std::copy(fault.begin(), fault.end(), code.begin());
  return {place.address, code};
}

}  // namespace selfheal::cli::campaign
