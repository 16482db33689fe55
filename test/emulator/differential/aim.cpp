// States that make a snippet do something: registers such that its operands lie in the arena, often
// at one of its borders, with the lanes of index vectors close together.
#include <cstring>
#include <vector>

#include "test/emulator/differential/generator.h"
#include "test/emulator/differential/instruction_set.h"

namespace selfheal::differential {
namespace {

u64 segment_base_of(ZydisRegister segment) {
  u64 base = 0;
  if (segment == ZYDIS_REGISTER_FS) {
    asm("rdfsbase %0" : "=r"(base));
  }
  return base;
}

// Where vector register `n` has its byte `i` in the XSAVE image; null: not on this machine.
u8* vector_byte(State& s, unsigned n, unsigned i) {
  const auto in_component = [&s](unsigned component, unsigned at) {
    const XsaveLayout& layout = xsave_layout();
    return layout.size[component] != 0 ? s.vectors + layout.offset[component] + at : nullptr;
  };
  if (n >= 16) {
    return in_component(7, (n - 16) * 64 + i);
  }
  if (i < 16) {
    return s.vectors + 160 + n * 16 + i;
  }
  return i < 32 ? in_component(2, n * 16 + i - 16) : in_component(6, n * 32 + i - 32);
}

}  // namespace

class Aim {
 public:
  Aim(Generator& g, State& s, Image& memory, const Decoded& d)
      : g_(g), random_(g.random_), s_(s), memory_(memory), d_(d) {}

  void all() {
    implicit();
    const ZydisDecodedOperand* m = d_.memory();
    if (m != nullptr && m->mem.type != ZYDIS_MEMOP_TYPE_AGEN) {
      explicit_operand(*m);
    }
    if (d_.in.mnemonic == ZYDIS_MNEMONIC_XGETBV || d_.in.mnemonic == ZYDIS_MNEMONIC_CPUID) {
      s_.gpr[rcx] = random_.below(3);
      s_.gpr[rax] =
          random_.below(random_.one_in(2) ? 0x20 : 8) | (random_.one_in(3) ? 0x80000000 : 0);
    }
  }

 private:
  void implicit() {
    switch (d_.in.meta.category) {
      case ZYDIS_CATEGORY_STRINGOP:
      case ZYDIS_CATEGORY_IOSTRINGOP:
        s_.gpr[rsi] = g_.data_address() - segment();
        s_.gpr[rdi] = g_.data_address();
        s_.gpr[rcx] = random_.below(random_.one_in(8) ? 5000 : random_.one_in(2) ? 200 : 20);
        if (random_.one_in(16)) {
          s_.gpr[rcx] |= random_.next() << 32;
        }
        return;
      default:
        break;
    }
    switch (d_.in.mnemonic) {
      case ZYDIS_MNEMONIC_CLZERO:
        s_.gpr[rax] = g_.data_address();
        return;
      case ZYDIS_MNEMONIC_MASKMOVQ:
      case ZYDIS_MNEMONIC_MASKMOVDQU:
      case ZYDIS_MNEMONIC_VMASKMOVDQU:
        s_.gpr[rdi] = g_.data_address();
        return;
      case ZYDIS_MNEMONIC_MOVDIR64B:
      case ZYDIS_MNEMONIC_ENQCMD:
        s_.gpr[gpr_of(d_.operands[0].reg.value)] = g_.data_address();
        return;
      case ZYDIS_MNEMONIC_ENTER:
      case ZYDIS_MNEMONIC_LEAVE:
        s_.gpr[rbp] = g_.data_address();
        break;
      case ZYDIS_MNEMONIC_XLAT:
        s_.gpr[rbx] = g_.data_address();
        return;
      default:
        break;
    }
    for (unsigned i = d_.in.operand_count_visible; i < d_.in.operand_count; ++i) {
      if (d_.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
          gpr_of(d_.operands[i].mem.base) == rsp) {
        s_.gpr[rsp] = g_.data_address();
        if (!random_.one_in(4)) {
          s_.gpr[rsp] &= ~u64{7};
        }
      }
    }
  }

  u64 segment() const {
    if ((d_.in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) != 0) {
      return segment_base_of(ZYDIS_REGISTER_FS);
    }
    return 0;
  }

  void explicit_operand(const ZydisDecodedOperand& m) {
    u64 target = g_.data_address();
    const bool image = m.size >= 14 * 8;
    if (image && !random_.one_in(4)) {
      target &= ~u64{63};
    }
    if (image) {
      put_image(target);
    }
    u64 rest = target - static_cast<u64>(m.mem.disp.value) - segment();
    const unsigned shift =
        m.mem.scale == 0 ? 0U : static_cast<unsigned>(__builtin_ctz(m.mem.scale));
    const int base = gpr_of(m.mem.base);
    const int index = gpr_of(m.mem.index);
    if (m.mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
      gather_lanes(m.mem.index, shift);
    } else if (index >= 0 && index != base) {
      if (base < 0) {
        s_.gpr[index] = rest >> shift;
        return;
      }
      if (!random_.one_in(3)) {
        s_.gpr[index] = random_.below(64);
      }
      rest -= s_.gpr[index] << shift;
    }
    if (base >= 0) {
      s_.gpr[base] = rest;
    }
    bit_string(base);
  }

  // bt and its like with a register: the bit may lie far from the operand.
  void bit_string(int base) {
    switch (d_.in.mnemonic) {
      case ZYDIS_MNEMONIC_BT:
      case ZYDIS_MNEMONIC_BTS:
      case ZYDIS_MNEMONIC_BTR:
      case ZYDIS_MNEMONIC_BTC:
        if (d_.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            gpr_of(d_.operands[1].reg.value) != base) {
          s_.gpr[gpr_of(d_.operands[1].reg.value)] = random_.below(65536) - 32768;
        }
        break;
      default:
        break;
    }
  }

  void gather_lanes(ZydisRegister vector, unsigned shift) {
    const unsigned n = static_cast<unsigned>(ZydisRegisterGetId(vector));
    const unsigned step = random_.one_in(2) ? 4 : 8;
    const u64 reach = random_.one_in(4) ? 16384 : 64;
    for (unsigned lane = 0; lane < 64 / step; ++lane) {
      const u64 v = (random_.below(reach) - reach / 4) >> shift << (random_.one_in(2) ? 2 : 0);
      for (unsigned i = 0; i < step; ++i) {
        if (u8* byte = vector_byte(s_, n, lane * step + i); byte != nullptr) {
          *byte = static_cast<u8>(v >> (8 * i));
        }
      }
    }
  }

  // Something that fxrstor, xrstor, frstor and fldenv take.
  void put_image(u64 target) {
    State other = s_;
    g_.fill_vectors(other);
    const bool extended =
        d_.in.mnemonic != ZYDIS_MNEMONIC_FRSTOR && d_.in.mnemonic != ZYDIS_MNEMONIC_FLDENV &&
        d_.in.mnemonic != ZYDIS_MNEMONIC_FNSAVE && d_.in.mnemonic != ZYDIS_MNEMONIC_FNSTENV;
    const bool is_image = d_.in.meta.category == ZYDIS_CATEGORY_XSAVE ||
                          d_.in.meta.category == ZYDIS_CATEGORY_XSAVEOPT || !extended ||
                          d_.in.mnemonic == ZYDIS_MNEMONIC_FXRSTOR ||
                          d_.in.mnemonic == ZYDIS_MNEMONIC_FXRSTOR64;
    if (!is_image || random_.one_in(6)) {
      return;
    }
    for (u64 i = 0; i < (extended ? sizeof other.vectors : 108); ++i) {
      for (u64 page = 0; page < 3; ++page) {
        const u64 first = Arena::address_of_byte(page * page_size);
        if (target + i - first < page_size) {
          memory_[page * page_size + (target + i - first)] = other.vectors[i];
        }
      }
    }
    s_.gpr[rax] = random_.one_in(3) ? random_.next() : 7;
    s_.gpr[rdx] = random_.one_in(3) ? random_.next() : 0;
  }

  Generator& g_;
  Random& random_;
  State& s_;
  Image& memory_;
  const Decoded& d_;
};

void Generator::fill(State& s, Image& memory, const Code& code) {
  for (u64& r : s.gpr) {
    r = value();
  }
  if (random_.one_in(3)) {
    s.gpr[rcx] = random_.below(20);
  }
  constexpr u64 nested_task = 0x4000;
  constexpr u64 identification = 0x200000;
  s.rflags = 0x202 | (random_.next() & 0x8d5) | (random_.one_in(6) ? 0x400 : 0) |
             (random_.one_in(8) ? random_.next() & (nested_task | identification) : 0);
  fill_vectors(s);
  std::vector<Decoded> instructions;
  for (u64 offset = 0; offset < code.size();) {
    Decoded d;
    if (!decode(code.from(offset), d)) {
      break;
    }
    offset += d.in.length;
    instructions.push_back(d);
  }
  // Of registers that several use, the first one mostly gets its way.
  while (!instructions.empty()) {
    const Decoded& d = instructions.back();
    // FS is the thread's own: an operand there is always aimed.
    const bool must = (d.in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) != 0;
    if (must || !random_.one_in(6)) {
      Aim(*this, s, memory, d).all();
    }
    instructions.pop_back();
  }
}

}  // namespace selfheal::differential
