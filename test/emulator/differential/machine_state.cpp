#include "test/emulator/differential/machine_state.h"

#include <cpuid.h>
#include <cstdio>
#include <cstring>

namespace selfheal::differential {
namespace {

constexpr const char* names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                 "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

// Not IF, RF, and the bits that are always the same.
constexpr u64 compared_flags = 0x244dd5;

// XSAVE writes every component, also those in their initial state, so the images compare as they
// are; but not which of them it calls initial (the header): the processor may forget that one is.
constexpr u64 header = 512;
constexpr u64 header_size = 64;

bool same_vectors(const State& a, const State& b) {
  constexpr u64 behind = header + header_size;
  return std::memcmp(a.vectors, b.vectors, header) == 0 &&
         std::memcmp(a.vectors + behind, b.vectors + behind, vector_bytes - behind) == 0;
}

std::string line(const char* what, u64 native, u64 engine) {
  char text[160];
  std::snprintf(text, sizeof text, "  %-16s native %016llx   engine %016llx\n", what,
                static_cast<unsigned long long>(native), static_cast<unsigned long long>(engine));
  return text;
}

u64 word(const u8* bytes) {
  u64 v;
  std::memcpy(&v, bytes, 8);
  return v;
}

}  // namespace

XsaveLayout::XsaveLayout() : size{}, offset{} {
  const u64 enabled = enabled_components();
  for (unsigned i = 2; i < 8; ++i) {
    if ((enabled >> i & 1) != 0) {
      u32 c;
      u32 d;
      __cpuid_count(0xd, i, size[i], offset[i], c, d);
    }
  }
}

const XsaveLayout& xsave_layout() {
  static const XsaveLayout layout;
  return layout;
}

bool same(const Result& native, const Result& engine, const Volatile& ignored) {
  u64 difference = 0;
  for (unsigned i = 0; i < gpr_count; ++i) {
    difference |= (native.state.gpr[i] ^ engine.state.gpr[i]) & ~ignored.gpr[i];
  }
  if (!ignored.flags) {
    difference |= (native.state.rflags ^ engine.state.rflags) & compared_flags;
  }
  difference |= (native.state.rip ^ engine.state.rip) |
                (native.state.gs_base ^ engine.state.gs_base) |
                (native.state.selectors ^ engine.state.selectors);
  return difference == 0 && native.fault == engine.fault &&
         same_vectors(native.state, engine.state) && native.memory == engine.memory;
}

std::string differences(const Result& native, const Result& engine) {
  std::string out;
  const auto compare = [&out](const char* what, u64 a, u64 b) {
    if (a != b) {
      out += line(what, a, b);
    }
  };
  for (unsigned i = 0; i < gpr_count; ++i) {
    compare(names[i], native.state.gpr[i], engine.state.gpr[i]);
  }
  compare("rflags", native.state.rflags & compared_flags, engine.state.rflags & compared_flags);
  compare("rip", native.state.rip, engine.state.rip);
  compare("gs base", native.state.gs_base, engine.state.gs_base);
  compare("ds, es, gs", native.state.selectors, engine.state.selectors);
  const FaultSeen& a = native.fault;
  const FaultSeen& b = engine.fault;
  compare("fault (trap+1)", a.any ? a.trap + 1U : 0, b.any ? b.trap + 1U : 0);
  compare("si_code", static_cast<u64>(a.code), static_cast<u64>(b.code));
  compare("si_addr", a.address, b.address);
  compare("error code", a.error, b.error);
  compare("fault rip", a.rip, b.rip);
  for (u64 i = 0; i < vector_bytes && out.size() < 4000; i += 8) {
    if (i < header || i >= header + header_size) {
      compare(("xsave+" + std::to_string(i)).c_str(), word(native.state.vectors + i),
              word(engine.state.vectors + i));
    }
  }
  for (u64 i = 0; i < native.memory.size() && out.size() < 8000; i += 8) {
    char where[32];
    std::snprintf(where, sizeof where, "%llx",
                  static_cast<unsigned long long>(Arena::address_of_byte(i)));
    compare(where, word(&native.memory[i]), word(&engine.memory[i]));
  }
  return out;
}

std::string side_by_side(const State& start, const Image& before, const Result& native,
                         const Result& engine) {
  std::string out = "  register   before            native            engine\n";
  char text[160];
  const auto row = [&](const char* what, u64 a, u64 b, u64 c) {
    std::snprintf(text, sizeof text, "  %-9s  %016llx  %016llx  %016llx %s\n", what,
                  static_cast<unsigned long long>(a), static_cast<unsigned long long>(b),
                  static_cast<unsigned long long>(c), b != c ? "<" : "");
    out += text;
  };
  for (unsigned i = 0; i < gpr_count; ++i) {
    row(names[i], start.gpr[i], native.state.gpr[i], engine.state.gpr[i]);
  }
  row("rflags", start.rflags, native.state.rflags, engine.state.rflags);
  out += "  writes:\n";
  for (u64 i = 0; i < before.size() && out.size() < 4000; i += 8) {
    const u64 old = word(&before[i]);
    if (word(&native.memory[i]) != old || word(&engine.memory[i]) != old) {
      char where[16];
      std::snprintf(where, sizeof where, "%llx",
                    static_cast<unsigned long long>(Arena::address_of_byte(i) & 0xffffff));
      row(where, old, word(&native.memory[i]), word(&engine.memory[i]));
    }
  }
  return out;
}

}  // namespace selfheal::differential
