// Every function of real Debian binaries: nearly all must get a jump, and each planned native path,
// decoded again by other means than it was made, must do what the entry did.
#include <Zydis/Zydis.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>

#include "lib/image/function.h"
#include "lib/patch/plan.h"
#include "lib/patch/stubs.h"
#include "test/image/mapped_elf.h"

using namespace selfheal;
using namespace selfheal::patch;

namespace {

const char* const binaries[] = {
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
    "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0",
    "/usr/lib/x86_64-linux-gnu/libz.so.1",
    "/usr/lib/x86_64-linux-gnu/libapr-1.so.0",
    "/usr/lib/apache2/modules/mod_mpm_event.so",
    "/usr/lib/apache2/modules/mod_rewrite.so",
    "/usr/sbin/apache2",
    "/usr/sbin/nginx",
    "/usr/sbin/sshd",
    "/usr/bin/redis-server",
    "/usr/sbin/named",
    "/bin/bash",
};

std::vector<image::Function> functions_of(const image::Module& module) {
  std::vector<image::Function> functions;
  image::for_each_function(
      module,
      [](const image::Function& function, void* context) {
        static_cast<std::vector<image::Function>*>(context)->push_back(function);
        return true;
      },
      &functions);
  return functions;
}

u64 text_end(const image::Module& module, u64 address) {
  for (unsigned i = 0; i < module.segment_count; ++i) {
    const image::Segment& segment = module.segments[i];
    if ((segment.flags & PF_X) != 0 && segment.holds(address, 1)) {
      return segment.start + segment.file_size;
    }
  }
  return 0;
}

class Disassembler {
 public:
  Disassembler() {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisFormatterInit(&formatter_, ZYDIS_FORMATTER_STYLE_INTEL);
  }

  // With absolute addresses for everything relative to rip. `size` is the instruction's.
  std::string line(const u8* bytes, u64 available, u64 address, u64& size) const {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    char text[128];
    size = 0;
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder_, bytes, available, &instruction, operands)) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter_, &instruction, operands,
                                                      instruction.operand_count_visible, text,
                                                      sizeof text, address, nullptr))) {
      return "(bad)";
    }
    size = instruction.length;
    return text;
  }

 private:
  ZydisDecoder decoder_;
  ZydisFormatter formatter_;
};

std::string hex(u64 value, int digits = 16) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%0*lX", digits, static_cast<unsigned long>(value));
  return text;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.rfind(from, 0) == 0 ? to + text.substr(from.size()) : text;
}

// What the native path must consist of to do what the moved instructions did.
std::vector<std::string> wanted(const Plan& made, const Function& function,
                                const Disassembler& disassembler) {
  std::vector<std::string> lines;
  const Code& code = function.code;
  bool ended = false;
  for (unsigned i = 0; i < made.move_count; ++i) {
    const u64 offset = made.moves[i].original_offset;
    if (code.address + offset >= made.resume) {
      break;
    }
    u64 size = 0;
    const std::string line =
        disassembler.line(code.bytes + offset, code.size - offset, code.address + offset, size);
    const u64 next = code.address + offset + size;
    const bool counts = line.rfind("loop", 0) == 0 || line.find("cxz") != std::string::npos;
    ended = line.rfind("jmp", 0) == 0 || line.rfind("ret", 0) == 0 || line.rfind("ud2", 0) == 0 ||
            line.rfind("bnd jmp", 0) == 0 || line.rfind("notrack jmp", 0) == 0 ||
            line.rfind("hlt", 0) == 0 || line.rfind("rep ret", 0) == 0;
    if (line.rfind("call", 0) == 0) {
      lines.push_back("push " + hex(next));
      lines.push_back("upper " + hex(next >> 32));
      lines.push_back(replaced(line, "call", "jmp"));
      ended = true;
    } else if (counts) {
      lines.push_back(line.substr(0, line.find(' ')));
      lines.push_back("jmp over");
      lines.push_back("jmp " + line.substr(line.find(' ') + 1));
    } else {
      lines.push_back(line);
    }
  }
  if (!ended) {
    lines.push_back("jmp " + hex(made.resume));
  }
  return lines;
}

std::vector<std::string> found(const Plan& made, u64 native, const std::vector<std::string>& want,
                               const Disassembler& disassembler) {
  std::vector<std::string> lines;
  for (u64 at = 0; at < made.native_size;) {
    u64 size = 0;
    std::string line =
        disassembler.line(made.native + at, made.native_size - at, native + at, size);
    const std::string& target = lines.size() < want.size() ? want[lines.size()] : "";
    // Where what is wanted is a meaning and not an instruction, check the meaning.
    i32 immediate;
    if (target.rfind("push 0x", 0) == 0 && made.native[at] == 0x68) {
      std::memcpy(&immediate, made.native + at + 1, 4);
      const u64 whole = std::stoull(target.substr(5), nullptr, 16);
      line = static_cast<u32>(immediate) == static_cast<u32>(whole) ? target : "push wrong";
    } else if (target.rfind("upper", 0) == 0) {
      std::memcpy(&immediate, made.native + at + 4, 4);
      line = made.native[at] == 0xc7 && hex(static_cast<u32>(immediate)) == target.substr(6)
                 ? target
                 : "upper wrong: " + line;
    } else if (target == "jmp over") {
      line = made.native[at] == 0xeb ? target : line;
    } else if (line.rfind("loop", 0) == 0 || line.find("cxz") != std::string::npos) {
      line = line.substr(0, line.find(' '));
    }
    lines.push_back(line);
    if (size == 0) {
      break;
    }
    at += size;
  }
  return lines;
}

struct Tally {
  unsigned functions = 0;
  unsigned cold = 0;
  unsigned jumps = 0;
  unsigned single = 0;
  unsigned traps = 0;
  unsigned refused = 0;
  unsigned wrong = 0;
  std::map<std::string, unsigned> reasons;
  std::string example;
};

Tally sweep(const image::Module& module) {
  Tally tally;
  const Disassembler disassembler;
  const std::vector<image::Function> functions = functions_of(module);
  const u64 stub = module.start - 0x100000;
  const u64 native = stub + native_offset;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const image::Function& each = functions[i];
    const u64 limit = text_end(module, each.start);
    if (each.cold || each.signal_frame || each.end() > limit) {
      ++tally.cold;
      continue;
    }
    Function function;
    function.code = {each.start, pointer_to<const u8>(each.start), each.size};
    const u64 next = i + 1 < functions.size() ? std::min(functions[i + 1].start, limit) : limit;
    function.gap = next > each.end() ? static_cast<u32>(std::min<u64>(next - each.end(), 64)) : 0;
    const Plan made = plan(function, stub, native);
    ++tally.functions;
    tally.jumps += made.how == How::jump;
    tally.single += made.how == How::jump && made.single;
    tally.traps += made.how == How::trap;
    tally.refused += made.how == How::none;
    if (made.how != How::jump) {
      ++tally.reasons[text_of(made.refusal)];
    }
    if (made.how == How::none) {
      continue;
    }
    const std::vector<std::string> want = wanted(made, function, disassembler);
    const std::vector<std::string> have = found(made, native, want, disassembler);
    if (want != have) {
      ++tally.wrong;
      tally.example = "at " + hex(each.start - module.bias) + ":";
      for (const std::string& line : want) {
        tally.example += "\n  want " + line;
      }
      for (const std::string& line : have) {
        tally.example += "\n  have " + line;
      }
    }
  }
  return tally;
}

// Functions with a branch into bytes 1..4 from a function other than themselves, by index; true
// where it is a short one.
std::map<std::size_t, bool> entered_from_outside(const image::Module& module,
                                                 const std::vector<image::Function>& functions) {
  std::map<std::size_t, bool> entered;
  for (const image::Function& each : functions) {
    for (u64 at = each.start; at < each.end() && each.end() <= text_end(module, each.start);) {
      ZydisDecoder decoder;
      ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
      ZydisDecodedInstruction i;
      if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, nullptr, pointer_to<u8>(at),
                                                      each.end() - at, &i))) {
        break;
      }
      at += i.length;
      const u64 target = at + static_cast<u64>(i.raw.imm[0].value.s);
      if (!i.raw.imm[0].is_relative || each.holds(target)) {
        continue;
      }
      const auto after =
          std::upper_bound(functions.begin(), functions.end(), target,
                           [](u64 address, const image::Function& f) { return address < f.start; });
      if (after == functions.begin() || (after - 1)->cold) {
        continue;
      }
      const u64 offset = target - (after - 1)->start;
      const u64 skip = std::memcmp(pointer_to<u8>((after - 1)->start), "\xf3\x0f\x1e\xfa", 4) == 0
                           ? 4
                           : 0;  // endbr64
      if (offset >= skip + 1 && offset <= skip + 4) {
        bool& is_short = entered[static_cast<std::size_t>(after - 1 - functions.begin())];
        is_short = is_short || i.raw.imm[0].size == 8;
      }
    }
  }
  return entered;
}

Code code_of(const image::Function& function) {
  return {function.start, pointer_to<const u8>(function.start), function.size};
}

bool code_at(u64 address, Code& code, void* context) {
  image::Function function;
  if (!image::find_function(*static_cast<const image::Module*>(context), address, function)) {
    return false;
  }
  code = code_of(function);
  return true;
}

// Whether the patcher would see it, from what it is told: the neighbours and the text.
bool is_noticed(image::Module& module, const image::Function& each) {
  Function function;
  function.code = code_of(each);
  function.gap = 16;
  const u64 stub = module.start - 0x100000;
  const Plan made = plan(function, stub, stub + native_offset);
  for (unsigned i = 0; i < module.segment_count; ++i) {
    const image::Segment& segment = module.segments[i];
    if ((segment.flags & PF_X) != 0 &&
        rel32_into({segment.start, pointer_to<const u8>(segment.start), segment.file_size},
                   made.at + 1, made.at + 4)) {
      return true;
    }
  }
  Code found[16];
  const unsigned count = neighbours(function.code, code_at, &module, found);
  for (unsigned i = 0; i < count; ++i) {
    if (names(found[i], made.at + 1, made.at + 4)) {
      return true;
    }
  }
  return made.how != How::jump;
}

}  // namespace

// Column "entered": by rel32 + by rel8 branches from other functions into bytes 1..4.
TEST_CASE("nearly every function of Debian's binaries gets a jump, and its native path is right") {
  unsigned looked_at = 0;
  std::printf("%-16s %9s %6s %7s %7s %5s %7s %6s  why no jump\n", "", "functions", "cold", "jump",
              "single", "int3", "refused", "entered");
  for (const char* path : binaries) {
    if (!std::filesystem::exists(path)) {
      continue;
    }
    ++looked_at;
    test::MappedElf elf(path);
    const Tally tally = sweep(elf.module);
    const std::vector<image::Function> functions = functions_of(elf.module);
    const auto outside = entered_from_outside(elf.module, functions);
    std::size_t by_short_branch = 0;
    unsigned unnoticed = 0;
    for (const auto& [index, is_short] : outside) {
      by_short_branch += is_short;
      unnoticed += !is_noticed(elf.module, functions[index]);
    }
    std::printf("%-16s %9u %6u %6.2f%% %6.2f%% %5u %7u %3zu+%-2zu ",
                std::filesystem::path(path).filename().c_str(), tally.functions, tally.cold,
                100.0 * tally.jumps / tally.functions, 100.0 * tally.single / tally.functions,
                tally.traps, tally.refused, outside.size() - by_short_branch, by_short_branch);
    for (const auto& [reason, count] : tally.reasons) {
      std::printf(" %u: %s;", count, reason.c_str());
    }
    std::printf("\n");
    INFO(path);
    INFO(tally.example);
    CHECK(tally.functions > 20);
    CHECK(tally.jumps >= tally.functions * 0.99);
    CHECK(tally.wrong == 0);
    CHECK(unnoticed == 0);
  }
  CHECK(looked_at >= 5);
}
