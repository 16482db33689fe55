// What an instruction will store, as far as its encoding says (StoreKind). Zydis' operand data is a
// help but no oracle (facts-engine.md, section 3).
#include "emulator/generated_code.h"
#include "emulator/instruction.h"

namespace selfheal::emulator {
namespace {

bool mask_of(const Instruction& in, u8& mask) {
  const ZydisRegister k = in.info.avx.mask.reg;
  if (k <= ZYDIS_REGISTER_K0 || k > ZYDIS_REGISTER_K7) {
    return false;
  }
  mask = static_cast<u8>(k - ZYDIS_REGISTER_K0);
  return true;
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
      return StoreKind::xsave;
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
      return StoreKind::xsave_used;
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVES:
    case ZYDIS_MNEMONIC_XSAVES64:
      return StoreKind::xsave_compact;
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
      thunk.size = 464;  // the rest is the program's (SDM vol. 1, 10.5.1)
      return StoreKind::fixed;
    case ZYDIS_MNEMONIC_FNSAVE:
      thunk.size = in.has_16_bit_operand() ? 94 : 108;
      return StoreKind::fixed;
    case ZYDIS_MNEMONIC_FNSTENV:
      thunk.size = in.has_16_bit_operand() ? 14 : 28;
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
    return compress ? StoreKind::compressed : StoreKind::masked;
  }
  return StoreKind::fixed;
}

bool is_masked(StoreKind kind) {
  return kind == StoreKind::masked || kind == StoreKind::compressed || kind == StoreKind::scattered;
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
    case ZYDIS_MNEMONIC_PUSH:  // of a segment register; others have handlers
      thunk.store = StoreKind::push;
      thunk.size = in.info.operand_width / 8U;
      return true;
    case ZYDIS_MNEMONIC_WRGSBASE:
    case ZYDIS_MNEMONIC_LGS:
      thunk.store = StoreKind::gs_base;
      return true;
    case ZYDIS_MNEMONIC_ENTER:
      thunk.store = StoreKind::enter;
      thunk.size = in.has_16_bit_operand() ? 2 : 8;
      thunk.lanes = static_cast<u16>((in.immediate(1) & 31) + 1);
      return true;
    default:
      break;
  }
  if (in.is_register(0) && in.operands[0].reg.value == ZYDIS_REGISTER_GS &&
      (in.operands[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
    thunk.store = StoreKind::gs_base;
    return true;
  }
  for (unsigned i = in.info.operand_count_visible; i < in.info.operand_count; ++i) {
    const ZydisDecodedOperand& o = in.operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool find_store(ThunkOp& thunk, const Instruction& in) {
  const ZydisDecodedOperand* m = in.memory();
  if (m != nullptr && (m->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
    const StoreKind kind = kind_of_visible_store(thunk, in, *m);
    // Without mask registers it is undefined and stores nothing; nor could its extent be asked.
    thunk.store = is_masked(kind) && !has_mask_registers() ? StoreKind::none : kind;
  }
  return hidden_store(thunk, in);
}

}  // namespace selfheal::emulator
