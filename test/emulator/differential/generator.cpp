#include "test/emulator/differential/generator.h"

#include <Zydis/Zydis.h>

namespace selfheal::differential {
namespace {

bool writes_stack_pointer(const ZydisDecodedInstruction& in, const ZydisDecodedOperand* operands) {
  for (unsigned i = 0; i < in.operand_count_visible; ++i) {
    const auto& o = operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY &&
        (o.mem.base == ZYDIS_REGISTER_RSP || o.mem.base == ZYDIS_REGISTER_ESP) &&
        o.mem.index != ZYDIS_REGISTER_NONE) {
      return true;  // may reach the frames of the harness
    }
    if (o.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
        (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o.reg.value) ==
             ZYDIS_REGISTER_RSP ||
         o.reg.value == ZYDIS_REGISTER_RSP)) {
      return true;
    }
  }
  return false;
}

// What differs from one execution to the next, ends the process or leaves the snippet.
bool unsuitable(const ZydisDecodedInstruction& in, const ZydisDecodedOperand* operands) {
  if (in.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE || writes_stack_pointer(in, operands)) {
    return true;
  }
  if ((in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) != 0) {
    return true;  // the thread's own data lie there
  }
  if (in.meta.category == ZYDIS_CATEGORY_IOSTRINGOP) {
    return true;  // privileged, and that comes before its memory
  }
  switch (in.mnemonic) {
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
    case ZYDIS_MNEMONIC_RDPID:
    case ZYDIS_MNEMONIC_RDPRU:
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_LEAVE:
    case ZYDIS_MNEMONIC_MONITORX:
    case ZYDIS_MNEMONIC_MWAITX:
    case ZYDIS_MNEMONIC_UMWAIT:
    case ZYDIS_MNEMONIC_TPAUSE:
    // Images of x87 state hold the address of the last instruction.
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XSAVES:
    case ZYDIS_MNEMONIC_XSAVES64:
    case ZYDIS_MNEMONIC_XRSTORS:
    case ZYDIS_MNEMONIC_XRSTORS64:
    case ZYDIS_MNEMONIC_XRSTOR64:
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SGDT:
    case ZYDIS_MNEMONIC_SIDT:
    case ZYDIS_MNEMONIC_SLDT:
    case ZYDIS_MNEMONIC_SMSW:
    case ZYDIS_MNEMONIC_STR:
      return true;
    default:
      return false;
  }
}

}  // namespace

u64 Generator::next() {  // splitmix64
  state_ += 0x9e3779b97f4a7c15;
  u64 z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void Generator::operands(std::vector<u8>& code, u64 at) {
  const u8 modrm = static_cast<u8>(next());
  code.push_back(modrm);
  const unsigned mod = modrm >> 6;
  const unsigned rm = modrm & 7;
  unsigned displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;
  if (mod != 3 && rm == 4) {
    const u8 sib = static_cast<u8>(next());
    code.push_back(sib);
    if (mod == 0 && (sib & 7) == 5) {
      displacement = 4;
    }
  }
  if (mod == 0 && rm == 5) {
    const u64 target = data_base + below(data_size + 64) - 32;
    const u32 relative = static_cast<u32>(target - (at + code.size() + 4));
    for (unsigned i = 0; i < 4; ++i) {
      code.push_back(static_cast<u8>(relative >> (8 * i)));
    }
  } else if (displacement == 1) {
    code.push_back(static_cast<u8>(next()));
  } else if (displacement == 4) {
    const u32 near = static_cast<u32>(static_cast<i32>(below(512)) - 256);
    for (unsigned i = 0; i < 4; ++i) {
      code.push_back(static_cast<u8>(near >> (8 * i)));
    }
  }
  for (unsigned i = 0; i < 8; ++i) {
    code.push_back(static_cast<u8>(next()));  // immediates; what is too much is cut off
  }
}

std::vector<u8> Generator::draw(u64 at) {
  std::vector<u8> code;
  const u64 encoding = below(10);
  if (encoding < 5) {  // legacy
    static constexpr u8 prefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x2e, 0x64, 0x65};
    while (one_in(4)) {
      code.push_back(prefixes[below(one_in(8) ? 8 : one_in(2) ? 4 : 3)]);
    }
    if (one_in(2)) {
      code.push_back(static_cast<u8>(0x40 | below(16)));
    }
    const u64 map = below(6);
    if (map >= 2) {
      code.push_back(0x0f);
    }
    if (map == 4) {
      code.push_back(0x38);
    } else if (map == 5) {
      code.push_back(0x3a);
    }
    code.push_back(static_cast<u8>(next()));
  } else if (encoding < 7) {  // VEX
    if (one_in(2)) {
      code.push_back(0xc5);
    } else {
      code.push_back(0xc4);
      code.push_back(static_cast<u8>((next() & 0xe0) | (1 + below(3))));
    }
    code.push_back(static_cast<u8>(next()));
    code.push_back(static_cast<u8>(next()));
  } else {  // EVEX
    code.push_back(0x62);
    code.push_back(static_cast<u8>((next() & 0xf0) | (1 + below(3))));
    code.push_back(static_cast<u8>(next() | 4));
    code.push_back(static_cast<u8>(next() & (one_in(4) ? 0xff : 0xef)));
    code.push_back(static_cast<u8>(next()));
  }
  operands(code, at);
  return code;
}

std::vector<u8> Generator::instruction(u64 at) {
  static const ZydisDecoder decoder = [] {
    ZydisDecoder d;
    ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return d;
  }();
  for (;;) {
    std::vector<u8> code = draw(at);
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands_[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code.data(), code.size(), &in, operands_)) ||
        unsuitable(in, operands_)) {
      continue;
    }
    code.resize(in.length);
    // An immediate shifts the end of the instruction: aim again.
    if ((in.attributes & ZYDIS_ATTRIB_IS_RELATIVE) != 0 && in.raw.disp.size == 32) {
      const u64 target = data_base + below(data_size + 64) - 32;
      const u32 relative = static_cast<u32>(target - (at + in.length));
      std::memcpy(code.data() + in.raw.disp.offset, &relative, 4);
    }
    return code;
  }
}

u64 Generator::value() {
  switch (below(8)) {
    case 0:
      return below(256);
    case 1:
      return next();
    case 2:
      return 0 - below(256);
    case 3:
      return u64{1} << below(64);
    default:
      break;
  }
  // Into the data: anywhere, or close to a page's end.
  const u64 offset = one_in(3) ? page_size * below(3) + below(128) - 64 : below(data_size);
  return data_base + (one_in(2) ? offset & ~u64{63} : offset);
}

void Generator::fill(State& s) {
  for (u64& r : s.gpr) {
    r = value();
  }
  if (one_in(3)) {
    s.gpr[rcx] = below(one_in(8) ? 5000 : 20);
  }
  s.rflags = 0x202 | (next() & 0x8d5) | (one_in(6) ? 0x400 : 0);
  for (u64 i = 0; i < vector_bytes; i += 8) {
    const u64 v = one_in(3) ? next() : one_in(2) ? value() : 0x3ff0000000000000 + (next() >> 14);
    std::memcpy(s.vectors + i, &v, 8);
  }
  std::memset(s.vectors + 512, 0, 64);
  const u64 in_use = one_in(4) ? 0xe7 : next() & 0xe7;
  std::memcpy(s.vectors + 512, &in_use, 8);
  const u32 mxcsr = static_cast<u32>((next() & 0xe07f) | (one_in(8) ? next() & 0x1f80 : 0x1f80));
  std::memcpy(s.vectors + 24, &mxcsr, 4);
  const u16 control = static_cast<u16>((next() & 0x0f40) | (one_in(8) ? next() & 0x3f : 0x3f));
  const u16 status = static_cast<u16>(next() & 0x7f00);
  std::memcpy(s.vectors, &control, 2);
  std::memcpy(s.vectors + 2, &status, 2);
  s.vectors[4] = static_cast<u8>(next());
  std::memset(s.vectors + 5, 0, 19);
}

void Generator::fill(std::array<u8, data_size>& data) {
  for (u64 i = 0; i < data_size; i += 8) {
    const u64 v = one_in(2) ? next() : value();
    std::memcpy(&data[i], &v, 8);
  }
}

}  // namespace selfheal::differential
