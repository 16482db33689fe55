// What the undo log holds for an instruction, against what the processor writes: no byte less, or a
// rollback would not bring it back; and no byte more, or it would take back what another thread
// wrote beside.
//
//   written:  run natively on memory of one pattern and of its complement: bytes that changed in
//             either have been written
//   logged:   run in the engine, then set memory to the complement, roll back: bytes that came
//             back had been logged
#include <bitset>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "test/emulator/differential/disassemble.h"
#include "test/emulator/differential/generator.h"
#include "test/emulator/differential/harness.h"
#include "test/emulator/differential/native_side.h"

using namespace selfheal;
using namespace selfheal::differential;

namespace {

using Bytes = std::bitset<sizeof(Image)>;

struct Case {
  const char* what;
  Code code;
  unsigned slack = 0;  // bytes of which the processor may write none: see below
};

// An x87 store may end in an exception instead. Of what fxsave may write some is reserved. The
// xsave family changes only some bits of its header, and may know better than XINUSE what is in its
// initial state: hence the slack. Read-modify-writes and the stack are the fuzzer's. All at (%rdi),
// with k1, zmm1 as data, zmm2 as indices or mask.
const Case cases[] = {
    {"vmovdqu8 %zmm1, (%rdi){%k1}", {0x62, 0xf1, 0x7f, 0x49, 0x7f, 0x0f}},
    {"vmovdqu16 %zmm1, (%rdi){%k1}", {0x62, 0xf1, 0xff, 0x49, 0x7f, 0x0f}},
    {"vmovdqu32 %ymm1, (%rdi){%k1}", {0x62, 0xf1, 0x7e, 0x29, 0x7f, 0x0f}},
    {"vmovdqu64 %zmm1, (%rdi){%k1}", {0x62, 0xf1, 0xfe, 0x49, 0x7f, 0x0f}},
    {"vmovupd %xmm1, (%rdi){%k1}", {0x62, 0xf1, 0xfd, 0x09, 0x11, 0x0f}},
    {"vpmovdb %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0x7e, 0x49, 0x31, 0x0f}},
    {"vpmovqw %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0x7e, 0x49, 0x34, 0x0f}},
    {"vextractf32x4 $1, %zmm1, (%rdi){%k1}", {0x62, 0xf3, 0x7d, 0x49, 0x19, 0x0f, 0x01}},
    {"vcvtps2ph $0, %zmm1, (%rdi){%k1}", {0x62, 0xf3, 0x7d, 0x49, 0x1d, 0x0f, 0x00}},
    {"vpcompressb %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0x7d, 0x49, 0x63, 0x0f}},
    {"vpcompressw %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0xfd, 0x49, 0x63, 0x0f}},
    {"vpcompressd %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0x7d, 0x49, 0x8b, 0x0f}},
    {"vcompresspd %ymm1, (%rdi){%k1}", {0x62, 0xf2, 0xfd, 0x29, 0x8a, 0x0f}},
    {"vpscatterdd %zmm1, (%rdi,%zmm2,4){%k1}", {0x62, 0xf2, 0x7d, 0x49, 0xa0, 0x0c, 0x97}},
    {"vpscatterdq %zmm1, (%rdi,%ymm2,4){%k1}", {0x62, 0xf2, 0xfd, 0x49, 0xa0, 0x0c, 0x97}},
    {"vpscatterqd %ymm1, (%rdi,%zmm2,4){%k1}", {0x62, 0xf2, 0x7d, 0x49, 0xa1, 0x0c, 0x97}},
    {"vscatterqpd %zmm1, (%rdi,%zmm2,8){%k1}", {0x62, 0xf2, 0xfd, 0x49, 0xa3, 0x0c, 0xd7}},
    {"vmaskmovps %ymm1, %ymm2, (%rdi)", {0xc4, 0xe2, 0x6d, 0x2e, 0x0f}},
    {"vmaskmovpd %xmm1, %xmm2, (%rdi)", {0xc4, 0xe2, 0x69, 0x2f, 0x0f}},
    {"vpmaskmovd %ymm1, %ymm2, (%rdi)", {0xc4, 0xe2, 0x6d, 0x8e, 0x0f}},
    {"vpmaskmovq %ymm1, %ymm2, (%rdi)", {0xc4, 0xe2, 0xed, 0x8e, 0x0f}},
    {"maskmovdqu %xmm2, %xmm1", {0x66, 0x0f, 0xf7, 0xca}},
    {"maskmovq %mm2, %mm1", {0x0f, 0xf7, 0xca}},
    {"movdir64b (%rsi), %rdi", {0x66, 0x0f, 0x38, 0xf8, 0x3e}},
    {"clzero", {0x0f, 0x01, 0xfc}},
    {"fnstenv (%rdi)", {0xd9, 0x37}},
    {"data16 fnstenv (%rdi)", {0x66, 0xd9, 0x37}},
    {"fnsave (%rdi)", {0xdd, 0x37}},
    {"data16 fnsave (%rdi)", {0x66, 0xdd, 0x37}},
    {"fxsave (%rdi)", {0x0f, 0xae, 0x07}, 48},
    {"fxsave64 (%rdi)", {0x48, 0x0f, 0xae, 0x07}, 48},
    {"xsave (%rdi)", {0x0f, 0xae, 0x27}, 8},
    {"xsave64 (%rdi)", {0x48, 0x0f, 0xae, 0x27}, 8},
    {"xsaveopt64 (%rdi)", {0x48, 0x0f, 0xae, 0x37}, 2816},
    {"xsavec64 (%rdi)", {0x48, 0x0f, 0xc7, 0x27}, 2816},
    {"fstpt (%rdi)", {0xdb, 0x3f}, 10},
    {"fbstp (%rdi)", {0xdf, 0x37}, 10},
    {"sgdt (%rdi)", {0x0f, 0x01, 0x07}},
    {"smsw (%rdi)", {0x0f, 0x01, 0x27}},
    {"rep stosw", {0xf3, 0x66, 0xab}},
    {"rep movsd", {0xf3, 0xa5}},
};

Image complement(const Image& image) {
  Image other;
  for (u64 i = 0; i < image.size(); ++i) {
    other[i] = static_cast<u8>(~image[i]);
  }
  return other;
}

Image now;

Bytes changed_from(const Image& before) {
  Bytes changed;
  Arena::store(now);
  for (u64 i = 0; i < before.size(); ++i) {
    changed[i] = now[i] != before[i];
  }
  return changed;
}

bool is_undefined = false;  // the last one that ran natively

// False: it faults.
bool written(const State& start, const Image& memory, Bytes& bytes) {
  static Result result;
  result.fault = {};
  result.state = start;
  Arena::load(memory);
  run_native(result);
  bytes |= changed_from(memory);
  is_undefined = result.fault.any && result.fault.trap == 6;
  return !result.fault.any;
}

Bytes logged(const State& start, const Image& memory) {
  static State state;
  EngineRun run;
  state = start;
  Arena::load(memory);
  run_in_engine(state, 0, run);
  const Image turned = complement(memory);
  Arena::load(turned);
  emulator::this_thread.log.rollback();
  return changed_from(turned);
}

State draw_state(Generator& g, Image& memory, const Code& code, u64 at) {
  State s;
  g.fill(memory);
  g.fill(s, memory, code);
  s.gpr[rsp] = 64;                                // no frames of its own, which are not logged
  s.gpr[rsi] = data_base + 3 * page_size + 2048;  // what is copied must not change with the pattern
  s.gpr[rcx] &= 63;
  s.rip = at;
  return s;
}

void print(const char* what, const Bytes& bytes) {
  std::printf("  %s:", what);
  for (u64 i = 0; i < bytes.size(); ++i) {
    if (bytes[i]) {
      std::printf(" %llx", static_cast<unsigned long long>(Arena::address_of_byte(i) & 0xffff));
    }
  }
  std::printf("\n");
}

constexpr unsigned states_per_case = 300;

// How many states were compared; 0: some differed, and it said how.
unsigned check(const Case& c, u64 at) {
  Generator g(at);
  unsigned compared = 0;
  for (unsigned i = 0; i < states_per_case; ++i) {
    Image memory;
    const State start = draw_state(g, memory, c.code, at);
    Bytes truth;
    if (!written(start, memory, truth) || !written(start, complement(memory), truth)) {
      continue;
    }
    const Bytes kept = logged(start, memory);
    const Bytes missing = truth & ~kept;
    const Bytes more = kept & ~truth;
    if (missing.any() || more.count() > c.slack) {
      std::printf("%s, state %u, rdi %llx\n", c.what, i,
                  static_cast<unsigned long long>(start.gpr[rdi]));
      print("written, not logged", missing);
      print("logged, not written", more);
      return 0;
    }
    ++compared;
  }
  return compared;
}

}  // namespace

int main() {
  Harness harness;
  unsigned failed = 0;
  unsigned compared = 0;
  for (u64 i = 0; i < std::size(cases); ++i) {
    const u64 at = Arena::place(i);
    harness.arena.put(at, cases[i].code.all());
    harness.set_code(at, cases[i].code.size());
    const unsigned n = check(cases[i], at);
    compared += n;
    if (n == 0 && is_undefined) {
      std::printf("%s: not on this processor\n", cases[i].what);
    } else if (n < states_per_case / 10) {
      std::printf("%s: differs, or faults too often: %u states\n", cases[i].what, n);
      ++failed;
    }
  }
  std::printf("%zu instructions, %u states compared, %u failed\n", std::size(cases), compared,
              failed);
  return failed == 0 ? 0 : 1;
}
