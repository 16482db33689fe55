#include "test/emulator/rollback/generator.h"

#include <Zydis/Zydis.h>
#include <initializer_list>

#include "test/emulator/rollback/layout.h"

namespace selfheal::rollback {
namespace {

struct Entry {
  const u8* begin;
  const u8* end;
  u64 needs;
};

extern "C" const Entry* rollback_first_snippet();
extern "C" const Entry* rollback_first_fault();

bool available(u64 feature) {
  switch (feature) {
    case AVX2:
      return __builtin_cpu_supports("avx2") != 0;
    case AVX512:
      return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0;
    default:
      return true;
  }
}

std::vector<std::span<const u8>> load(const Entry* entries) {
  std::vector<std::span<const u8>> pieces;
  for (; entries->begin != nullptr; ++entries) {
    if (available(entries->needs)) {
      pieces.emplace_back(entries->begin, entries->end);
    }
  }
  return pieces;
}

void put(std::vector<u8>& code, std::span<const u8> bytes) {
  code.insert(code.end(), bytes.begin(), bytes.end());
}

void put(std::vector<u8>& code, std::initializer_list<u8> bytes) {
  code.insert(code.end(), bytes);
}

void put_u32(std::vector<u8>& code, u64 value) {
  for (unsigned i = 0; i < 4; ++i) {
    code.push_back(static_cast<u8>(value >> (8 * i)));
  }
}

void patch_u32(std::vector<u8>& code, u64 at, u64 value) {
  for (unsigned i = 0; i < 4; ++i) {
    code[at + i] = static_cast<u8>(value >> (8 * i));
  }
}

constexpr unsigned functions = 3;
constexpr unsigned deepest_loop = 2;

}  // namespace

struct Generator::Draft {
  Random& random;
  std::vector<u8> code;
  struct Call {
    u64 at;  // of the displacement
    unsigned callee;
  };
  std::vector<Call> calls;
};

Generator::Generator()
    : snippets_(load(rollback_first_snippet())), faults_(load(rollback_first_fault())) {}

//   decq -8(%r15); jnz over; <fault>; over:
void Generator::bomb(Draft& draft) const {
  put(draft.code, {0x49, 0xff, 0x4f, 0xf8, 0x0f, 0x85});
  const u64 displacement = draft.code.size();
  put_u32(draft.code, 0);
  put(draft.code, faults_[draft.random.below(faults_.size())]);
  patch_u32(draft.code, displacement, draft.code.size() - displacement - 4);
}

void Generator::statements(Draft& draft, unsigned number, unsigned depth) const {
  Random& random = draft.random;
  std::vector<u8>& code = draft.code;
  for (u64 left = 1 + random.below(6); left != 0; --left) {
    if (random.one_in(2)) {
      bomb(draft);
    }
    const u64 kind = random.below(10);
    if (kind == 0 && depth < deepest_loop) {
      put(code, {0x53, 0xbb});  // push %rbx; mov $n, %ebx
      put_u32(code, 1 + random.below(5));
      const u64 top = code.size();
      statements(draft, number, depth + 1);
      put(code, {0xff, 0xcb, 0x0f, 0x85});  // dec %ebx; jnz top
      put_u32(code, top - code.size() - 4);
      put(code, {0x5b});  // pop %rbx
    } else if (kind == 1 && number + 1 < functions) {
      code.push_back(0xe8);  // call
      draft.calls.push_back(
          {code.size(), number + 1 + static_cast<unsigned>(random.below(functions - number - 1))});
      put_u32(code, 0);
    } else {
      put(code, snippets_[random.below(snippets_.size())]);
    }
  }
}

void Generator::function(Draft& draft, unsigned number) const {
  if (draft.random.one_in(3)) {
    bomb(draft);  // before there is a frame
  }
  // push %rbp; mov %rsp, %rbp; push %rbx; sub $0x208, %rsp
  put(draft.code, {0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x81, 0xec, 0x08, 0x02, 0x00, 0x00});
  statements(draft, number, 0);
  // lea -8(%rbp), %rsp; pop %rbx; pop %rbp; ret
  put(draft.code, {0x48, 0x8d, 0x65, 0xf8, 0x5b, 0x5d, 0xc3});
}

std::vector<u8> Generator::program(Random& random) const {
  Draft draft{random, {}, {}};
  u64 entries[functions];
  for (unsigned i = 0; i < functions; ++i) {
    entries[i] = draft.code.size();
    function(draft, i);
  }
  for (const auto& [at, callee] : draft.calls) {
    patch_u32(draft.code, at, entries[callee] - at - 4);
  }
  return draft.code;
}

std::vector<u8> Generator::fault_somewhere(std::span<const u8> program, Random& random) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  std::vector<u64> places;
  for (u64 at = 0; at < program.size();) {
    ZydisDecodedInstruction instruction;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, nullptr, program.data() + at,
                                                    program.size() - at, &instruction))) {
      break;
    }
    if (instruction.length >= 2) {
      places.push_back(at);
    }
    at += instruction.length;
  }
  std::vector<u8> copy(program.begin(), program.end());
  const u64 at = places[random.below(places.size())];
  copy[at] = 0x0f;
  copy[at + 1] = 0x0b;
  return copy;
}

}  // namespace selfheal::rollback
