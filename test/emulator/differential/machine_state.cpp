#include "test/emulator/differential/machine_state.h"

#include <algorithm>
#include <cpuid.h>
#include <cstdio>

#include "lib/base/fault.h"

namespace selfheal::differential {
namespace {

constexpr const char* names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                 "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

std::string line(const char* what, u64 native, u64 engine) {
  char text[160];
  std::snprintf(text, sizeof text, "  %-16s native %016llx   engine %016llx\n", what,
                static_cast<unsigned long long>(native), static_cast<unsigned long long>(engine));
  return text;
}

// Asked once: CPUID leaves the virtual machine.
struct Layout {
  u32 size[8];
  u32 offset[8];
  u32 end;

  Layout() {
    u32 c;
    u32 d;
    for (unsigned i = 2; i < 8; ++i) {
      __cpuid_count(0xd, i, size[i], offset[i], c, d);
    }
    u32 a;
    __cpuid_count(0xd, 0, a, end, c, d);
  }
};

// The area with components in their initial state written out, and with what depends on the place
// of the code (FOP, FIP, FDP) blanked.
std::vector<u8> canonical(const State& s) {
  std::vector<u8> v(s.vectors, s.vectors + vector_bytes);
  u64 in_use;
  std::memcpy(&in_use, s.vectors + 512, 8);
  std::memset(v.data() + 6, 0, 18);
  std::memset(v.data() + 28, 0, 4);  // MXCSR_MASK
  if ((in_use & 1) == 0) {
    const u8 initial[6] = {0x7f, 0x03, 0, 0, 0, 0};
    std::memcpy(v.data(), initial, sizeof initial);
    std::memset(v.data() + 32, 0, 128);
  }
  for (unsigned i = 0; i < 8; ++i) {
    std::memset(v.data() + 32 + 16 * i + 10, 0, 6);
  }
  if ((in_use & 2) == 0) {
    std::memset(v.data() + 160, 0, 256);
  }
  std::memset(v.data() + 416, 0, 160);  // software bytes, header
  static const Layout layout;
  for (const unsigned i : {2U, 5U, 6U, 7U}) {
    if (((in_use >> i) & 1) == 0 && layout.offset[i] + layout.size[i] <= v.size()) {
      std::memset(v.data() + layout.offset[i], 0, layout.size[i]);
    }
  }
  v.resize(std::min<u64>(v.size(), layout.end));
  return v;
}

std::string vectors_and_memory(const Result& native, const Result& engine) {
  std::string out;
  const auto a = canonical(native.state);
  const auto b = canonical(engine.state);
  for (u64 i = 0; i + 8 <= a.size(); i += 8) {
    u64 x;
    u64 y;
    std::memcpy(&x, &a[i], 8);
    std::memcpy(&y, &b[i], 8);
    if (x != y && out.size() < 4000) {
      out += line(("xsave+" + std::to_string(i)).c_str(), x, y);
    }
  }
  for (u64 i = 0; i < data_size; i += 8) {
    if (std::memcmp(&native.data[i], &engine.data[i], 8) != 0) {
      u64 x;
      u64 y;
      std::memcpy(&x, &native.data[i], 8);
      std::memcpy(&y, &engine.data[i], 8);
      out += line(("memory+" + std::to_string(i)).c_str(), x, y);
    }
  }
  if (native.stack != engine.stack) {
    out += "  the stack differs\n";
  }
  return out;
}

// A long operand (fxrstor) may be told by its end.
bool within_operand(const Result& native, const Result& engine) {
  return native.fault.address - engine.fault.address < 512 &&
         native.fault.write == engine.fault.write;
}

}  // namespace

std::string differences(const Result& native, const Result& engine) {
  std::string out;
  for (unsigned i = 0; i < gpr_count; ++i) {
    if (native.state.gpr[i] != engine.state.gpr[i]) {
      out += line(names[i], native.state.gpr[i], engine.state.gpr[i]);
    }
  }
  constexpr u64 compared_flags = 0x244cd5;  // not IF, RF
  if (((native.state.rflags ^ engine.state.rflags) & compared_flags) != 0) {
    out += line("rflags", native.state.rflags, engine.state.rflags);
  }
  const bool memory_fault = native.fault.any && native.fault.trap >= 12 && native.fault.trap <= 14;
  if (engine.fault.early && memory_fault && native.fault.rip == engine.fault.rip) {
    const bool same =
        native.fault.trap != 14 || engine.fault.two_operands || within_operand(native, engine) ||
        native.fault.address >= null_page_end ||
        (native.fault.address == engine.fault.address && native.fault.write == engine.fault.write);
    if (!same) {
      out += line("early address", native.fault.address, engine.fault.address);
      out += line("early write", native.fault.write, engine.fault.write);
    }
    return out + vectors_and_memory(native, engine);
  }
  if (native.fault.any && (native.fault.trap == 6 || native.fault.trap == 16) && engine.fault.any &&
      engine.fault.trap == 14 && native.fault.rip == engine.fault.rip) {
    return out;  // an instruction this processor lacks, or an x87 exception pending: before memory
  }
  if (native.fault.any != engine.fault.any || native.fault.trap != engine.fault.trap) {
    out += line("fault (trap+1)", native.fault.any ? native.fault.trap + 1U : 0,
                engine.fault.any ? engine.fault.trap + 1U : 0);
  }
  if (native.fault.any && engine.fault.any) {
    if (native.fault.address != engine.fault.address) {
      out += line("fault address", native.fault.address, engine.fault.address);
    }
    if (native.fault.write != engine.fault.write) {
      out += line("fault is write", native.fault.write, engine.fault.write);
    }
    if (native.fault.rip != engine.fault.rip) {
      out += line("fault rip", native.fault.rip, engine.fault.rip);
    }
  }
  return out + vectors_and_memory(native, engine);
}
}  // namespace selfheal::differential
