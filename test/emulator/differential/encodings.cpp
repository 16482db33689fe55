// One instruction: its prefixes, opcode and operands drawn by the encoding's own structure, so that
// every form the decoder knows comes up; and what a decoder may not know.
#include <cstring>

#include "test/emulator/differential/generator.h"
#include "test/emulator/differential/instruction_set.h"

namespace selfheal::differential {
namespace {

bool is_branch(const Decoded& d) {
  return d.in.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE && d.in.mnemonic != ZYDIS_MNEMONIC_XBEGIN;
}

// The thread's own data lie where FS points. An operand there must be one that can be aimed away.
bool stays_clear_of_own_data(const Decoded& d) {
  const ZydisDecodedOperand* m = d.memory();
  if (d.in.address_width != 64 || d.in.mnemonic == ZYDIS_MNEMONIC_CLZERO) {
    return false;
  }
  if (m == nullptr || m->mem.type == ZYDIS_MEMOP_TYPE_AGEN || d.in.raw.disp.size == 64) {
    return true;
  }
  const int base = gpr_of(m->mem.base);
  const int index = gpr_of(m->mem.index);
  return m->mem.base == ZYDIS_REGISTER_RIP || (base >= 0 && base != index) ||
         (base < 0 && index >= 0);
}

// Opcodes that uniform draws find seldom or a decoder may not know. "m": a ModRM byte that names
// memory or a register follows; a digit: one whose reg field is that; "i": an immediate byte.
struct Form {
  const char* bytes;
  const char* rest;
};
constexpr Form forms[] = {
    {"\x0f\x01\xfc", ""},  // clzero
    {"\x0f\x01\xfa", ""},
    {"\x0f\x01\xfb", ""},  // monitorx, mwaitx
    {"\x0f\x01\xfd", ""},
    {"\x0f\x01\xe8", ""},  // rdpru, serialize
    {"\x0f\x01\xfe", ""},
    {"\x0f\x01\xff", ""},  // invlpgb, tlbsync
    {"\xf3\x0f\x09", ""},
    {"\x0f\x09", ""},  // wbnoinvd, wbinvd
    {"\xf3\x0f\xc7", "7"},
    {"\x0f\x38\xf9", "m"},  // rdpid, movdiri
    {"\x66\x0f\x38\xf8", "m"},
    {"\xf2\x0f\x38\xf8", "m"},  // movdir64b, enqcmd
    {"\x0f\x01", "0"},
    {"\x0f\x01", "1"},  // sgdt, sidt
    {"\x0f\x01", "4"},
    {"\x0f\x01", "6"},  // smsw, lmsw
    {"\x0f\x01", "5"},
    {"\xf3\x0f\x01", "5"},  // rstorssp and neighbours
    {"\x0f\x01\xd0", ""},
    {"\x0f\x01\xd1", ""},  // xgetbv, xsetbv
    {"\x0f\x01\xd6", ""},
    {"\x0f\x01\xee", ""},  // xtest, rdpkru
    {"\x0f\x02", "m"},
    {"\x0f\x03", "m"},  // lar, lsl
    {"\x66\x0f\xae", "6"},
    {"\x66\x0f\xae", "7"},  // clwb, clflushopt
    {"\xf3\x0f\xae", "6"},
    {"\xf2\x0f\xae", "6"},  // umonitor, umwait
    {"\x0f\x0d", "1"},
    {"\x0f\x1c", "0"},  // prefetchw, cldemote
    {"\xf3\x0f\xae", "1"},
    {"\xf3\x0f\xae", "3"},  // rdgsbase, wrgsbase
    {"\xf3\x48\x0f\xae", "0"},
    {"\xf3\x48\x0f\xae", "3"},  // rdfsbase, wrgsbase
    {"\xf3\x48\x0f\xae", "5"},
    {"\xf3\x0f\xae", "5"},  // incssp
    {"\x0f\x38\xf6", "m"},
    {"\x66\x0f\x38\xf5", "m"},  // wrss, wruss
    {"\xc6\xf8", "i"},
    {"\x0f\x0e", ""},  // xabort, femms
    {"\x0f\x0f", "mi"},
    {"\xf0\x48\x0f\xc7", "1"},  // 3DNow!, cmpxchg16b
    {"\xf3\x41\x90", ""},
    {"\x0f\xff", "m"},  // pause with REX.B, ud0
    {"\x0f\xa2", ""},
    {"\xcd", "i"},  // cpuid, int
    {"\x0f\x31", ""},
    {"\x0f\x01\xf9", ""},  // rdtsc, rdtscp
    {"\x0f\xc7", "6"},
    {"\x0f\xc7", "7"},  // rdrand, rdseed
    {"\x8e", "m"},
    {"\x8c", "m"},  // mov with segment registers
    {"\x0f\xb2", "m"},
    {"\x0f\xb5", "m"},  // lss, lgs
    {"\xf2\x0f\x38\xf0", "m"},
    {"\x0f\x38\xf0", "m"},  // crc32, movbe
    {"\x0f\xae", "0"},
    {"\x0f\xae", "3"},  // fxsave, stmxcsr
    {"\xf0\x0f\xb3", "m"},
    {"\x0f\xab", "m"},  // btr, bts
};

}  // namespace

void Generator::operands(Code& code) {
  const u8 modrm = random_.byte();
  code.push_back(modrm);
  const unsigned mod = modrm >> 6;
  const unsigned rm = modrm & 7;
  unsigned displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;
  if (mod != 3 && rm == 4) {
    const u8 sib = random_.byte();
    code.push_back(sib);
    if (mod == 0 && (sib & 7) == 5) {
      displacement = 4;
    }
  }
  if (displacement == 1) {
    code.push_back(random_.byte());
  } else if (displacement == 4 || (mod == 0 && rm == 5)) {
    const u32 near = static_cast<u32>(static_cast<i32>(random_.below(512)) - 256);
    for (unsigned i = 0; i < 4; ++i) {
      code.push_back(static_cast<u8>(near >> (8 * i)));
    }
  }
  for (unsigned i = 0; i < 8; ++i) {
    code.push_back(random_.byte());  // immediates; what is too much is cut off
  }
}

Code Generator::draw() {
  Code code;
  const u64 encoding = random_.below(10);
  if (encoding < 5) {  // legacy
    static constexpr u8 prefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x2e, 0x64, 0x65};
    while (random_.one_in(4)) {
      code.push_back(prefixes[random_.below(random_.one_in(8) ? 8 : random_.one_in(2) ? 4 : 3)]);
    }
    if (random_.one_in(2)) {
      code.push_back(static_cast<u8>(0x40 | random_.below(16)));
    }
    const u64 map = random_.below(6);
    if (map >= 2) {
      code.push_back(0x0f);
    }
    if (map == 4) {
      code.push_back(0x38);
    } else if (map == 5) {
      code.push_back(0x3a);
    }
    code.push_back(random_.byte());
  } else if (encoding < 7) {  // VEX
    if (random_.one_in(2)) {
      code.push_back(0xc5);
    } else {
      code.push_back(0xc4);
      code.push_back(static_cast<u8>((random_.byte() & 0xe0) | (1 + random_.below(3))));
    }
    code.push_back(random_.byte());
    code.push_back(random_.byte());
  } else {  // EVEX
    code.push_back(0x62);
    code.push_back(static_cast<u8>((random_.byte() & 0xf0) | (1 + random_.below(3))));
    code.push_back(static_cast<u8>(random_.byte() | 4));
    code.push_back(static_cast<u8>(random_.byte() & (random_.one_in(4) ? 0xff : 0xef)));
    code.push_back(random_.byte());
  }
  operands(code);
  return code;
}

Code Generator::hand_written() {
  const Form& form = forms[random_.below(std::size(forms))];
  Code code;
  if (random_.one_in(6)) {
    static constexpr u8 prefixes[] = {0x66, 0x67, 0x2e, 0x65, 0xf2, 0xf3};
    code.push_back(prefixes[random_.below(std::size(prefixes))]);
  }
  const bool plain = form.bytes[0] == 0x0f || static_cast<u8>(form.bytes[0]) == 0x8e ||
                     static_cast<u8>(form.bytes[0]) == 0x8c;
  if (plain && random_.one_in(2)) {
    code.push_back(static_cast<u8>(0x40 | random_.below(16)));
  }
  for (const char* b = form.bytes; *b != 0; ++b) {
    code.push_back(static_cast<u8>(*b));
  }
  if (form.rest[0] != 0 && form.rest[0] != 'i') {
    const u64 modrm_at = code.size();
    operands(code);
    if (form.rest[0] != 'm') {
      const unsigned reg = static_cast<unsigned>(form.rest[0] - '0');
      code[modrm_at] = static_cast<u8>((code[modrm_at] & 0xc7) | reg << 3);
    }
  }
  code.push_back(random_.byte());
  return code;
}

// Prefixes in any order and number, then anything.
Code Generator::raw_bytes() {
  static constexpr u8 prefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x2e, 0x36,
                                    0x3e, 0x26, 0x65, 0x40, 0x48, 0x4f, 0x0f};
  Code code;
  const u64 count = random_.one_in(8) ? random_.below(15) : random_.below(5);
  for (u64 i = 0; i < count; ++i) {
    code.push_back(prefixes[random_.below(std::size(prefixes))]);
  }
  static constexpr u8 escapes[] = {0xc4, 0xc5, 0x62, 0x8f};
  if (random_.one_in(3)) {
    code.push_back(escapes[random_.below(std::size(escapes))]);
  }
  const u64 rest = 1 + random_.below(15);
  for (u64 i = 0; i < rest; ++i) {
    code.push_back(random_.byte());
  }
  return code;
}

// Cuts `code` to one instruction and aims what is relative. False: draw another.
bool Generator::suits(Code& code, u64 at, bool alone) {
  Decoded d;
  if (!decode(code.all(), d)) {
    // The processor decides what it is, so wherever it may go on nothing may lurk.
    for (u64 i = 0; i < code.size(); ++i) {
      if (decode(code.from(i), d) && (is_dangerous(d) || is_branch(d))) {
        return false;
      }
    }
    return alone;
  }
  Volatile ignored;
  bool uses_fs = (d.in.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) != 0;
  for (unsigned i = 0; i < d.in.raw.prefix_count; ++i) {  // clzero's is no attribute
    uses_fs = uses_fs || d.in.raw.prefixes[i].value == 0x64;
  }
  if (is_dangerous(d) || (uses_fs && !stays_clear_of_own_data(d)) ||
      (!alone && (uses_fs || stands_alone(d, ignored)))) {
    return false;
  }
  code.resize(d.in.length);
  if (d.in.raw.disp.size == 32 && d.memory() != nullptr &&
      (d.memory()->mem.base == ZYDIS_REGISTER_RIP || d.memory()->mem.base == ZYDIS_REGISTER_EIP)) {
    const u32 relative = static_cast<u32>(data_address() - (at + d.in.length));
    std::memcpy(code.data() + d.in.raw.disp.offset, &relative, 4);
  } else if (d.in.raw.disp.size == 64) {  // mov to and from an absolute address
    const u64 address = data_address();
    std::memcpy(code.data() + d.in.raw.disp.offset, &address, 8);
  }
  if (is_branch(d) && d.in.raw.imm[0].is_relative) {
    // To the next instruction; elsewhere only in blocks, where there is something.
    std::memset(code.data() + d.in.raw.imm[0].offset, 0, d.in.raw.imm[0].size / 8U);
  }
  return true;
}

Code Generator::instruction(u64 at, bool alone) {
  for (;;) {
    Code code;
    const u64 topic = random_.below(20);
    if (topic < 12) {
      code = draw();
      Decoded d;
      if (!decode(code.all(), d)) {
        continue;  // undefined encodings come by raw_bytes
      }
    } else if (topic < 14) {
      code = hand_written();
    } else if (topic < 15) {
      code = raw_bytes();
    } else if (topic < 18) {
      code = stack();
    } else {
      code = string();
    }
    if (suits(code, at, alone)) {
      return code;
    }
  }
}

}  // namespace selfheal::differential
