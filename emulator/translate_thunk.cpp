// What has to be known of an instruction before the processor may execute it for the guest: the
// registers it touches, its operand relative to rip, and above all what it writes to memory.
#include "emulator/block_cache.h"
#include "emulator/instruction.h"

namespace selfheal::emulator {
namespace {

// Instructions that change what the engine itself stands on, or that mean "leave this program".
const char* refusal(const Instruction& in) {
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_WRGSBASE:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
      return "a change of the thread's segment base";
    case ZYDIS_MNEMONIC_LSS:
      return "a change of the stack segment";
    case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_INT3:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SYSEXIT:
    case ZYDIS_MNEMONIC_SYSRET:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_VMCALL:
    case ZYDIS_MNEMONIC_VMMCALL:
    case ZYDIS_MNEMONIC_UIRET:
      return "a trap or a return from one";
    case ZYDIS_MNEMONIC_WRPKRU:
      return "a change of the protection keys";
    case ZYDIS_MNEMONIC_XBEGIN:
    case ZYDIS_MNEMONIC_XEND:
    case ZYDIS_MNEMONIC_XABORT:
      return "a transaction";
    case ZYDIS_MNEMONIC_SETSSBSY:
    case ZYDIS_MNEMONIC_RSTORSSP:
    case ZYDIS_MNEMONIC_INCSSPD:
    case ZYDIS_MNEMONIC_INCSSPQ:
    case ZYDIS_MNEMONIC_WRSSD:
    case ZYDIS_MNEMONIC_WRSSQ:
      return "a change of the shadow stack";
    default:
      break;
  }
  for (unsigned i = 0; in.info.mnemonic == ZYDIS_MNEMONIC_CLZERO && i < in.info.raw.prefix_count;
       ++i) {
    // Zydis knows no memory operand of it, and so no segment.
    if (in.info.raw.prefixes[i].value == 0x64 || in.info.raw.prefixes[i].value == 0x65) {
      return "clzero in another segment";
    }
  }
  for (unsigned i = 0; i < in.info.operand_count_visible; ++i) {
    const ZydisDecodedOperand& o = in.operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
        ZydisRegisterGetClass(o.reg.value) == ZYDIS_REGCLASS_SEGMENT) {
      return "a change of a segment register";
    }
  }
  return in.info.mnemonic == ZYDIS_MNEMONIC_PUSH || in.info.mnemonic == ZYDIS_MNEMONIC_POP ||
                 in.info.mnemonic == ZYDIS_MNEMONIC_LEAVE
             ? "a rare form of push, pop or leave"
             : nullptr;
}

bool mask_of(const Instruction& in, u8& mask) {
  const ZydisRegister k = in.info.avx.mask.reg;
  if (k <= ZYDIS_REGISTER_K0 || k > ZYDIS_REGISTER_K7) {
    return false;
  }
  mask = static_cast<u8>(k - ZYDIS_REGISTER_K0);
  return true;
}

bool is_extract(const Instruction& in) {
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_VEXTRACTF32X4:
    case ZYDIS_MNEMONIC_VEXTRACTF32X8:
    case ZYDIS_MNEMONIC_VEXTRACTF64X2:
    case ZYDIS_MNEMONIC_VEXTRACTF64X4:
    case ZYDIS_MNEMONIC_VEXTRACTI32X4:
    case ZYDIS_MNEMONIC_VEXTRACTI32X8:
    case ZYDIS_MNEMONIC_VEXTRACTI64X2:
    case ZYDIS_MNEMONIC_VEXTRACTI64X4:
      return true;
    default:
      return false;
  }
}

void set_elements(ThunkOp& thunk, const ZydisDecodedOperand& o) {
  thunk.size = o.element_size / 8U;
  thunk.lanes = o.element_count;
}

u8 vector_number(const ZydisDecodedOperand& o) {
  return static_cast<u8>(ZydisRegisterGetId(o.reg.value));
}

StoreKind kind_of_visible_store(ThunkOp& thunk, const Instruction& in,
                                const ZydisDecodedOperand& memory) {
  thunk.size = memory.size / 8U;
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
      return StoreKind::xsave;
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVES:
    case ZYDIS_MNEMONIC_XSAVES64:
      return StoreKind::xsave_compact;
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
      thunk.size = 512;
      return StoreKind::fixed;
    case ZYDIS_MNEMONIC_FNSAVE:
      thunk.size = in.has(ZYDIS_ATTRIB_HAS_OPERANDSIZE) ? 94 : 108;
      return StoreKind::fixed;
    case ZYDIS_MNEMONIC_FNSTENV:
      thunk.size = in.has(ZYDIS_ATTRIB_HAS_OPERANDSIZE) ? 14 : 28;
      return StoreKind::fixed;
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
      set_elements(thunk, in.operands[2]);
      thunk.size = in.info.mnemonic == ZYDIS_MNEMONIC_VMASKMOVPD ||
                           in.info.mnemonic == ZYDIS_MNEMONIC_VPMASKMOVQ
                       ? 8
                       : 4;
      thunk.lanes = static_cast<u16>(in.operands[2].size / 8U / thunk.size);
      thunk.mask = vector_number(in.operands[1]);
      return StoreKind::sign_masked;
    default:
      break;
  }
  if (memory.mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
    const ZydisRegisterClass index_class = ZydisRegisterGetClass(memory.mem.index);
    const unsigned index_bytes = index_class == ZYDIS_REGCLASS_ZMM   ? 64
                                 : index_class == ZYDIS_REGCLASS_YMM ? 32
                                                                     : 16;
    thunk.size = in.operands[0].element_size / 8U;
    thunk.index = static_cast<u8>(ZydisRegisterGetId(memory.mem.index));
    // vpscatterDq: the third letter from the end is the index size
    const ZydisMnemonic m = in.info.mnemonic;
    thunk.index_size = m == ZYDIS_MNEMONIC_VPSCATTERDD || m == ZYDIS_MNEMONIC_VPSCATTERDQ ||
                               m == ZYDIS_MNEMONIC_VSCATTERDPS || m == ZYDIS_MNEMONIC_VSCATTERDPD
                           ? 4
                           : 8;
    const bool quad_data = m == ZYDIS_MNEMONIC_VPSCATTERDQ || m == ZYDIS_MNEMONIC_VPSCATTERQQ ||
                           m == ZYDIS_MNEMONIC_VSCATTERDPD || m == ZYDIS_MNEMONIC_VSCATTERQPD;
    thunk.size = quad_data ? 8 : 4;
    // As many lanes as both the indices and the data have.
    const unsigned data_bytes = in.info.avx.vector_length / 8U;
    const unsigned wide = thunk.index_size > thunk.size ? thunk.index_size : thunk.size;
    thunk.lanes = static_cast<u16>((data_bytes > index_bytes ? data_bytes : index_bytes) / wide);
    return mask_of(in, thunk.mask) ? StoreKind::scattered : StoreKind::none;
  }
  if (in.info.avx.mask.mode == ZYDIS_MASK_MODE_MERGING && mask_of(in, thunk.mask)) {
    set_elements(thunk, memory);
    const bool compress = in.info.meta.category == ZYDIS_CATEGORY_COMPRESS ||
                          in.info.mnemonic == ZYDIS_MNEMONIC_VPCOMPRESSB ||
                          in.info.mnemonic == ZYDIS_MNEMONIC_VPCOMPRESSW;
    if (compress) {
      thunk.size = in.operands[in.info.operand_count_visible - 1].element_size / 8U;
      thunk.lanes = static_cast<u16>(in.info.avx.vector_length / 8U / thunk.size);
    }
    thunk.names_operand = is_extract(in);
    return compress ? StoreKind::compressed : StoreKind::masked;
  }
  return StoreKind::fixed;
}

// Stores that are no operand in the source text, or that Zydis takes for none.
// False: there is one that is not known here.
bool hidden_store(ThunkOp& thunk, const Instruction& in) {
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_CLZERO:
      thunk.store = StoreKind::cache_line;
      return true;
    case ZYDIS_MNEMONIC_MASKMOVQ:
      thunk.store = StoreKind::at_rdi;
      thunk.size = 8;
      thunk.mask = vector_number(in.operands[1]);
      return true;
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
      thunk.store = StoreKind::at_rdi;
      thunk.size = 16;
      thunk.mask = vector_number(in.operands[1]);
      return true;
    case ZYDIS_MNEMONIC_MOVDIR64B:
    case ZYDIS_MNEMONIC_ENQCMD:
      thunk.store = StoreKind::direct;
      thunk.index = static_cast<u8>(gpr_number(in.operands[0].reg.value) * 8);
      return true;
    case ZYDIS_MNEMONIC_ENTER:
      thunk.store = StoreKind::enter;
      thunk.size = static_cast<u32>(in.immediate(1)) & 31;
      return true;
    default:
      break;
  }
  for (unsigned i = in.info.operand_count_visible; i < in.info.operand_count; ++i) {
    const ZydisDecodedOperand& o = in.operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
      return false;
    }
  }
  return true;
}

// A whole access at one address, so that an address below 64 KiB is sure to fault? Hints access
// nothing, masks may leave nothing, bit strings and gathers go elsewhere.
bool is_checked(const Instruction& in, const ZydisDecodedOperand& memory) {
  if (memory.mem.type != ZYDIS_MEMOP_TYPE_MEM || memory.size == 0) {
    return false;
  }
  u8 mask;
  if (mask_of(in, mask)) {
    return false;
  }
  switch (in.info.mnemonic) {
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_PREFETCHWT1:
    case ZYDIS_MNEMONIC_CLDEMOTE:
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
      return false;
    default:
      return in.info.meta.category != ZYDIS_CATEGORY_PREFETCH &&
             in.info.meta.category != ZYDIS_CATEGORY_NOP &&
             in.info.meta.category != ZYDIS_CATEGORY_VTX &&
             in.info.meta.category != ZYDIS_CATEGORY_WIDENOP &&
             (in.info.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) == 0 && memory.actions != 0;
  }
}

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
      if (thunk.repeats && thunk.repeats_while_equal != (prefix == 0xf3)) {
        make_unsupported(op, "a string instruction with both repeat prefixes");
        return;
      }
      thunk.repeats = true;
      thunk.repeats_while_equal = prefix == 0xf3;
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

// Explicitly aligned vector accesses (SDM vol. 2, 2.4 and 2.7, exception classes 1): a misaligned
// address is #GP before anything else is looked at.
bool needs_alignment(const Instruction& in) {
  switch (in.info.meta.exception_class) {
    case ZYDIS_EXCEPTION_CLASS_SSE1:
    case ZYDIS_EXCEPTION_CLASS_AVX1:
    case ZYDIS_EXCEPTION_CLASS_E1:
    case ZYDIS_EXCEPTION_CLASS_E1NF:
      return true;
    default:
      // Legacy SSE: most operands of 16 bytes. Should this one not be, it is only read.
      return in.info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
             (in.info.meta.exception_class == ZYDIS_EXCEPTION_CLASS_SSE2 ||
              in.info.meta.exception_class == ZYDIS_EXCEPTION_CLASS_SSE4) &&
             (in.memory()->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0;
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
  op.handler = do_thunk;
  if (is_string(in)) {
    if (in.has(ZYDIS_ATTRIB_HAS_ADDRESSSIZE)) {
      make_unsupported(op, "a string instruction with 32-bit addresses");
      return true;
    }
    plan_string(*thunk, op, in);
    plan_string_registers(plan, *thunk);
    plan.all_flags = true;
  } else {
    if (!collect_relative_address(plan, in)) {
      make_unsupported(op, "an unknown operand relative to the instruction pointer");
      return true;
    }
    if (const ZydisDecodedOperand* m = in.memory()) {
      thunk->checked = is_checked(in, *m);
      thunk->alignment =
          needs_alignment(in) && m->size >= 128 ? static_cast<u8>(m->size / 8) : u8{0};
      thunk->writes = (m->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
      if (thunk->writes) {
        thunk->store = kind_of_visible_store(*thunk, in, *m);
      }
    }
    if (!hidden_store(*thunk, in)) {
      make_unsupported(op, "an instruction whose store is not known");
      return true;
    }
  }
  op.thunk = thunk;
  thunk->code = make_thunk(plan);
  return thunk->code != 0;
}

}  // namespace selfheal::emulator
