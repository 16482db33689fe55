#include "test/emulator/differential/disassemble.h"

#include <Zydis/Zydis.h>
#include <cstdio>

namespace selfheal::differential {

std::string disassemble(std::span<const u8> code, u64 at) {
  std::string out;
  for (u64 offset = 0; offset < code.size();) {
    ZydisDisassembledInstruction in;
    char text[64];
    const bool known = ZYAN_SUCCESS(ZydisDisassembleIntel(
        ZYDIS_MACHINE_MODE_LONG_64, at + offset, code.data() + offset, code.size() - offset, &in));
    const u64 length = known ? in.info.length : 1;
    std::snprintf(text, sizeof text, "  %llx  ", static_cast<unsigned long long>(at + offset));
    out += text;
    for (u64 i = 0; i < length; ++i) {
      std::snprintf(text, sizeof text, "%02x ", code[offset + i]);
      out += text;
    }
    out += known ? std::string("  ") + in.text + "\n" : "  ??\n";
    offset += length;
  }
  return out;
}

}  // namespace selfheal::differential
