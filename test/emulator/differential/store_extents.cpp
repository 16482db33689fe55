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

constexpr const Feature* every_processor = nullptr;

struct Case {
  const char* what;
  Code code;
  const Feature* needs = every_processor;
  unsigned slack = 0;  // bytes of which the processor may write none: see below
};

// An x87 store may end in an exception instead. Of what fxsave may write some is reserved. The
// xsave family changes only some bits of its header, and may know better than XINUSE what is in its
// initial state: hence the slack. Read-modify-writes and the stack are the fuzzer's. All at (%rdi),
// with k1, zmm1 as data, zmm2 as indices or mask.
const Case cases[] = {
    {"vmovdqu8 %zmm1, (%rdi){%k1}", {0x62, 0xf1, 0x7f, 0x49, 0x7f, 0x0f}, &avx512bw},
    {"vmovdqu16 %zmm1, (%rdi){%k1}", {0x62, 0xf1, 0xff, 0x49, 0x7f, 0x0f}, &avx512bw},
    {"vmovdqu32 %ymm1, (%rdi){%k1}", {0x62, 0xf1, 0x7e, 0x29, 0x7f, 0x0f}, &avx512vl},
    {"vmovdqu64 %zmm1, (%rdi){%k1}", {0x62, 0xf1, 0xfe, 0x49, 0x7f, 0x0f}, &avx512f},
    {"vmovupd %xmm1, (%rdi){%k1}", {0x62, 0xf1, 0xfd, 0x09, 0x11, 0x0f}, &avx512vl},
    {"vpmovdb %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0x7e, 0x49, 0x31, 0x0f}, &avx512f},
    {"vpmovqw %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0x7e, 0x49, 0x34, 0x0f}, &avx512f},
    {"vextractf32x4 $1, %zmm1, (%rdi){%k1}", {0x62, 0xf3, 0x7d, 0x49, 0x19, 0x0f, 0x01}, &avx512f},
    {"vcvtps2ph $0, %zmm1, (%rdi){%k1}", {0x62, 0xf3, 0x7d, 0x49, 0x1d, 0x0f, 0x00}, &avx512f},
    {"vpcompressb %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0x7d, 0x49, 0x63, 0x0f}, &avx512vbmi2},
    {"vpcompressw %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0xfd, 0x49, 0x63, 0x0f}, &avx512vbmi2},
    {"vpcompressd %zmm1, (%rdi){%k1}", {0x62, 0xf2, 0x7d, 0x49, 0x8b, 0x0f}, &avx512f},
    {"vcompresspd %ymm1, (%rdi){%k1}", {0x62, 0xf2, 0xfd, 0x29, 0x8a, 0x0f}, &avx512vl},
    {"vpscatterdd %zmm1, (%rdi,%zmm2,4){%k1}",
     {0x62, 0xf2, 0x7d, 0x49, 0xa0, 0x0c, 0x97},
     &avx512f},
    {"vpscatterdq %zmm1, (%rdi,%ymm2,4){%k1}",
     {0x62, 0xf2, 0xfd, 0x49, 0xa0, 0x0c, 0x97},
     &avx512f},
    {"vpscatterqd %ymm1, (%rdi,%zmm2,4){%k1}",
     {0x62, 0xf2, 0x7d, 0x49, 0xa1, 0x0c, 0x97},
     &avx512f},
    {"vscatterqpd %zmm1, (%rdi,%zmm2,8){%k1}",
     {0x62, 0xf2, 0xfd, 0x49, 0xa3, 0x0c, 0xd7},
     &avx512f},
    {"vmaskmovps %ymm1, %ymm2, (%rdi)", {0xc4, 0xe2, 0x6d, 0x2e, 0x0f}, &avx},
    {"vmaskmovpd %xmm1, %xmm2, (%rdi)", {0xc4, 0xe2, 0x69, 0x2f, 0x0f}, &avx},
    {"vpmaskmovd %ymm1, %ymm2, (%rdi)", {0xc4, 0xe2, 0x6d, 0x8e, 0x0f}, &avx2},
    {"vpmaskmovq %ymm1, %ymm2, (%rdi)", {0xc4, 0xe2, 0xed, 0x8e, 0x0f}, &avx2},
    {"maskmovdqu %xmm2, %xmm1", {0x66, 0x0f, 0xf7, 0xca}},
    {"maskmovq %mm2, %mm1", {0x0f, 0xf7, 0xca}},
    {"movdir64b (%rsi), %rdi", {0x66, 0x0f, 0x38, 0xf8, 0x3e}, &movdir64b},
    {"clzero", {0x0f, 0x01, 0xfc}, &clzero},
    {"fnstenv (%rdi)", {0xd9, 0x37}},
    {"data16 fnstenv (%rdi)", {0x66, 0xd9, 0x37}},
    {"fnsave (%rdi)", {0xdd, 0x37}},
    {"data16 fnsave (%rdi)", {0x66, 0xdd, 0x37}},
    {"fxsave (%rdi)", {0x0f, 0xae, 0x07}, every_processor, 48},
    {"fxsave64 (%rdi)", {0x48, 0x0f, 0xae, 0x07}, every_processor, 48},
    {"xsave (%rdi)", {0x0f, 0xae, 0x27}, every_processor, 8},
    {"xsave64 (%rdi)", {0x48, 0x0f, 0xae, 0x27}, every_processor, 8},
    {"xsaveopt64 (%rdi)", {0x48, 0x0f, 0xae, 0x37}, &xsaveopt, 2816},
    {"xsavec64 (%rdi)", {0x48, 0x0f, 0xc7, 0x27}, &xsavec, 2816},
    {"fstpt (%rdi)", {0xdb, 0x3f}, every_processor, 10},
    {"fbstp (%rdi)", {0xdf, 0x37}, every_processor, 10},
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

// False: it faults.
bool written(const State& start, const Image& memory, Bytes& bytes) {
  static Result result;
  result.fault = {};
  result.state = start;
  Arena::load(memory);
  run_native(result);
  bytes |= changed_from(memory);
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

bool is_here(const Case& c) {
  if (c.needs == every_processor || has(*c.needs)) {
    return true;
  }
  std::printf("%s: left out, as the processor has no %s\n", c.what, c.needs->name);
  return false;
}

}  // namespace

int main() {
  Harness harness;
  unsigned failed = 0;
  unsigned left_out = 0;
  unsigned compared = 0;
  for (u64 i = 0; i < std::size(cases); ++i) {
    if (!is_here(cases[i])) {
      ++left_out;
      continue;
    }
    const u64 at = Arena::place(i);
    harness.arena.put(at, cases[i].code.all());
    harness.set_code(at, cases[i].code.size());
    const unsigned n = check(cases[i], at);
    compared += n;
    if (n < states_per_case / 10) {
      std::printf("%s: differs, or faults too often: %u states\n", cases[i].what, n);
      ++failed;
    }
  }
  std::printf("%zu instructions, %u left out, %u states compared, %u failed\n", std::size(cases),
              left_out, compared, failed);
  return failed == 0 ? 0 : 1;
}
