// A made-up process: a program, a system library, and code that is two byte arrays.
//
//   0x10000  program   functions of 0x100 bytes: f0 at +0x1000, f1 at +0x1100, ...; f2 is split,
//   its
//                      cold part is at +0x1800
//   0x50000  libc      passed over by blame
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "lib/recover/diagnose.h"

namespace made_up {

using namespace selfheal;

inline constexpr u64 program = 0x10000;
inline constexpr u64 libc = 0x50000;
inline constexpr u64 anonymous = 0x90000;  // a module without any identity

struct Process {
  u8 code[0x2000] = {};  // of the program, from +0; each function ends in a ret

  Process() {
    for (u64 end = 0x1100; end <= sizeof code; end += 0x100) {
      std::memset(code + end - 16, 0x90, 15);  // whatever comes before, this is decoded
      code[end - 1] = 0xc3;
    }
  }

  static bool find_module(void*, u64 address, image::Module& module) {
    for (const u64 start : {program, libc, anonymous}) {
      if (address - start < 0x2000) {
        module = image::Module{};
        module.start = module.bias = start;
        module.end = start + 0x2000;
        module.name = start == program ? "/usr/sbin/program" : "/lib/libc.so.6";
        module.segments[0] = {start + 0x1000, start + 0x2000, 0x1000, PF_R | PF_X, 0};
        module.segment_count = 1;
        if (start != anonymous) {
          module.id.kind = ModuleIdKind::build_id;
          module.id.size = 1;
          module.id.bytes[0] = static_cast<u8>(start >> 16);
        }
        return true;
      }
    }
    return false;
  }

  static bool find_part(void*, const image::Module& module, u64 address,
                        image::Function& function) {
    function = image::Function{};
    function.start = address & ~u64{0xff};
    function.size = 0x100;
    function.cold = function.start == module.start + 0x1800;
    return true;
  }

  static bool find_owner(void*, const image::Module& module, u64 address, image::Function& function,
                         bool& in_cold_part) {
    find_part(nullptr, module, address, function);
    in_cold_part = function.cold;
    if (in_cold_part) {
      function.start = module.start + 0x1200;
    }
    return address - module.start < 0x1f00;  // the last function has no frame description
  }

  static u64 read_code(void* context, u64 address, u8* out, u64 size) {
    if (address - program >= 0x2000) {
      return 0;
    }
    const u64 left = program + 0x2000 - address;
    const u64 count = size < left ? size : left;
    std::memcpy(out, static_cast<Process*>(context)->code + (address - program), count);
    return count;
  }

  recover::ImageView view() {
    return {this,
            find_module,
            find_owner,
            find_part,
            [](void*, const image::Module& module) { return module.start == libc; },
            read_code,
            [](void*, const image::Module&, const image::Function& f) { return f.start ^ 0xabc; }};
  }

  void put(u64 offset, const std::vector<u8>& bytes) {
    std::memcpy(code + offset, bytes.data(), bytes.size());
  }

  FaultRecord diagnose(const Fault& fault, const std::vector<u64>& addresses) {
    std::vector<recover::Frame> frames;
    for (const u64 address : addresses) {
      recover::Frame frame{};
      frame.registers.rip = address;
      frame.exact = frames.empty();
      frames.push_back(frame);
    }
    FaultRecord record;
    std::memset(&record, 0xee, sizeof record);
    recover::diagnose(fault, frames, view(), record);
    return record;
  }
};

}  // namespace made_up
