// What has to be known of an instruction before the processor may execute it for the guest: the
// registers it touches, its operand relative to rip. What it writes to memory: store_kind.cpp.
#include "emulator/block_cache.h"
#include "emulator/instruction.h"

namespace selfheal::emulator {
namespace {

void use(ThunkPlan& plan, ZydisRegister r, bool written) {
  const u8 n = gpr_number(r);
  if (n != no_register) {
    plan.registers_used |= static_cast<u16>(1U << n);
    if (written) {
      plan.registers_written |= static_cast<u16>(1U << n);
    }
  }
}

void collect_registers(ThunkPlan& plan, const Instruction& in) {
  for (unsigned i = 0; i < in.info.operand_count; ++i) {
    const ZydisDecodedOperand& o = in.operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_REGISTER) {
      use(plan, o.reg.value, (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0);
    } else if (o.type == ZYDIS_OPERAND_TYPE_MEMORY) {
      use(plan, o.mem.base, false);
      use(plan, o.mem.index, false);
    }
  }
  if (in.info.mnemonic == ZYDIS_MNEMONIC_CLZERO) {
    use(plan, ZYDIS_REGISTER_RAX, false);
  } else if (in.info.mnemonic == ZYDIS_MNEMONIC_PAUSE) {
    // With REX.B the bytes are those of xchg r8, rax, and some processors take them for that.
    use(plan, ZYDIS_REGISTER_RAX, true);
    use(plan, ZYDIS_REGISTER_R8, true);
  }
}

void collect_flags(ThunkPlan& plan, const Instruction& in) {
  const ZydisAccessedFlags* f = in.info.cpu_flags;
  if (f == nullptr) {
    return;
  }
  constexpr u32 status = ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF |
                         ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF;
  const u32 changed = f->modified | f->set_0 | f->set_1 | f->undefined;
  plan.flags_written = (changed & status) != 0;
  // Also when they are only written: what is left undefined may be what it was.
  plan.flags_used = plan.flags_written || (f->tested & status) != 0;
}

bool collect_relative_address(ThunkPlan& plan, const Instruction& in) {
  const ZydisDecodedOperand* m = in.memory();
  if (m == nullptr || (m->mem.base != ZYDIS_REGISTER_RIP && m->mem.base != ZYDIS_REGISTER_EIP)) {
    return true;
  }
  plan.modrm_offset = static_cast<i8>(in.info.raw.modrm.offset);
  plan.displacement_offset = in.info.raw.disp.offset;
  plan.relative_address = in.next_rip() + static_cast<u64>(m->mem.disp.value);
  return in.info.raw.disp.size == 32;
}

// Does the processor remember where it was? It does so for all of these that are no control
// instructions, and which those are it knows best.
void collect_x87(ThunkPlan& plan, const Instruction& in) {
  const u8 opcode = in.info.opcode;
  if (in.info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
      in.info.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && opcode >= 0xd8 && opcode <= 0xdf) {
    plan.x87_rip = in.rip;
    plan.x87_opcode = static_cast<u16>((opcode & 7) << 8 | in.bytes[in.info.raw.modrm.offset]);
  }
}

X87Image x87_image(const Instruction& in) {
  const bool short_form = in.has_16_bit_operand();
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FNSTENV:
      return short_form ? X87Image::environment_16 : X87Image::environment_32;
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEOPT:
      return X87Image::extended_32;
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
      return X87Image::extended_64;
    default:
      return X87Image::none;
  }
}

bool is_string(const Instruction& in) {
  return in.info.meta.category == ZYDIS_CATEGORY_STRINGOP ||
         in.info.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

void plan_string(ThunkOp& thunk, Op& op, const Instruction& in) {
  op.handler = do_string;
  thunk.size = 1;
  for (unsigned i = 0; i < in.info.operand_count; ++i) {
    const ZydisDecodedOperand& o = in.operands[i];
    if (o.type != ZYDIS_OPERAND_TYPE_MEMORY) {
      continue;
    }
    thunk.size = o.size / 8U;
    if (gpr_number(o.mem.base) == rsi) {
      thunk.reads_source = true;
      op.segment = o.mem.segment == ZYDIS_REGISTER_FS   ? Segment::fs
                   : o.mem.segment == ZYDIS_REGISTER_GS ? Segment::gs
                                                        : Segment::none;
    } else {
      thunk.uses_destination = true;
      if ((o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
        thunk.store = StoreKind::string;
      }
    }
  }
  thunk.compares = in.info.cpu_flags != nullptr && in.info.cpu_flags->modified != 0;
  for (unsigned i = 0; i < in.info.raw.prefix_count; ++i) {
    const u8 prefix = in.info.raw.prefixes[i].value;
    if (prefix == 0xf2 || prefix == 0xf3) {
      thunk.repeats = true;
      thunk.repeats_while_equal = prefix == 0xf3;  // of several, the last one counts
    }
  }
}

// Zydis names rsi and rdi as bases only; they move.
void plan_string_registers(ThunkPlan& plan, const ThunkOp& thunk) {
  if (thunk.reads_source) {
    use(plan, ZYDIS_REGISTER_RSI, true);
  }
  if (thunk.uses_destination) {
    use(plan, ZYDIS_REGISTER_RDI, true);
  }
  if (thunk.repeats) {
    use(plan, ZYDIS_REGISTER_RCX, true);
  }
}

}  // namespace

bool translate_thunk(Op& op, const Instruction& in) {
  if (const char* reason = refusal(in)) {
    make_unsupported(op, reason);
    return true;
  }
  auto* thunk = static_cast<ThunkOp*>(block_memory(sizeof(ThunkOp)));
  if (thunk == nullptr) {
    return false;
  }
  *thunk = ThunkOp{};
  ThunkPlan plan{};
  plan.bytes = in.bytes;
  plan.size = in.info.length;
  plan.modrm_offset = -1;
  collect_registers(plan, in);
  collect_flags(plan, in);
  collect_x87(plan, in);
  op.handler = do_thunk;
  if (is_string(in)) {
    plan_string(*thunk, op, in);
    plan_string_registers(plan, *thunk);
    plan.all_flags = true;
  } else {
    if (!collect_relative_address(plan, in)) {
      make_unsupported(op, "an unknown operand relative to the instruction pointer");
      return true;
    }
    if (!find_store(*thunk, in)) {
      make_unsupported(op, "an instruction whose store is not known");
      return true;
    }
  }
  thunk->image = x87_image(in);
  if (thunk->image != X87Image::none) {
    op.handler = do_x87_image;
  }
  op.thunk = thunk;
  thunk->code = make_thunk(plan);
  return thunk->code != 0;
}

}  // namespace selfheal::emulator
