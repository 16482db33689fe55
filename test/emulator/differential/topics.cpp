// Kinds of code that a uniform draw would hit too rarely, and blocks of several instructions.
#include <cstring>
#include <vector>

#include "test/emulator/differential/generator.h"
#include "test/emulator/differential/instruction_set.h"

namespace selfheal::differential {

// push, pop, call, ret, enter, leave and the flags; with and without a 16-bit operand.
Code Generator::stack() {
  Code code;
  if (random_.one_in(6)) {
    code.push_back(0x66);
  }
  if (random_.one_in(3)) {
    code.push_back(static_cast<u8>(0x40 | random_.below(16)));
  }
  switch (random_.below(12)) {
    case 0:
    case 1:
      code.push_back(static_cast<u8>(0x50 | random_.below(16)));  // push, pop of a register
      break;
    case 2:
      code.push_back(0x68);
      break;
    case 3:
      code.push_back(0x6a);
      break;
    case 4:
    case 5: {  // push, pop of memory; call, jmp through it
      const bool pop = random_.one_in(2);
      static constexpr u8 operations[] = {2, 4, 6};
      const u64 modrm_at = code.size() + 1;
      code.push_back(pop ? 0x8f : 0xff);
      operands(code);
      const u8 reg = pop ? u8{0} : operations[random_.below(3)];
      code[modrm_at] = static_cast<u8>((code[modrm_at] & 0xc7) | reg << 3);
      return code;
    }
    case 6:
      code.push_back(static_cast<u8>(0x9c | random_.below(2)));  // pushf, popf
      break;
    case 7:
      code.push_back(0xc8);  // enter
      code.push_back(random_.byte());
      code.push_back(0);
      code.push_back(static_cast<u8>(random_.one_in(2) ? 0 : random_.below(40)));
      return code;
    case 8:
      code.push_back(0xc9);  // leave
      break;
    case 9:
      code.push_back(static_cast<u8>(0xc2 | random_.below(2)));  // ret
      break;
    case 10:
      code.push_back(0xe8);  // call
      break;
    default:
      code.push_back(0x0f);  // push, pop of fs and gs
      code.push_back(static_cast<u8>(random_.one_in(2) ? 0xa0 : 0xa8 | random_.below(2)));
      break;
  }
  for (unsigned i = 0; i < 8; ++i) {
    code.push_back(random_.byte());
  }
  return code;
}

Code Generator::string() {
  static constexpr u8 opcodes[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac,
                                   0xad, 0xae, 0xaf, 0x6c, 0x6d, 0x6e, 0x6f};
  static constexpr u8 segments[] = {0x2e, 0x36, 0x64, 0x65};
  Code code;
  switch (random_.below(8)) {
    case 0:
      code.push_back(0xf2);
      code.push_back(0xf3);
      break;
    case 1:
      code.push_back(0xf3);
      code.push_back(0xf2);
      break;
    case 2:
    case 3:
      code.push_back(0xf2);
      break;
    case 4:
      break;
    default:
      code.push_back(0xf3);
      break;
  }
  if (random_.one_in(6)) {
    code.push_back(0x66);
  }
  if (random_.one_in(5)) {
    code.push_back(0x67);
  }
  if (random_.one_in(8)) {
    code.push_back(segments[random_.below(std::size(segments))]);
  }
  if (random_.one_in(3)) {
    code.push_back(static_cast<u8>(0x40 | random_.below(16)));
  }
  code.push_back(opcodes[random_.below(random_.one_in(8) ? std::size(opcodes) : 10)]);
  return code;
}

// Images of the floating point and vector state: stored, changed, loaded again, all at (%rdi).
Code Generator::state_image() {
  Code code;
  const auto add = [&code](std::initializer_list<int> bytes) {
    for (const int b : bytes) {
      code.push_back(static_cast<u8>(b));
    }
  };
  const auto x87 = [&] {
    add({0xd8 + static_cast<int>(random_.below(8)), 0xc0 + static_cast<int>(random_.below(64))});
  };
  const auto rex = [&] {
    if (random_.one_in(2)) {
      add({0x48});
    }
  };
  const auto store = [&] {
    switch (random_.below(6)) {
      case 0:
        rex();
        add({0x0f, 0xae, 0x07});  // fxsave
        break;
      case 1:
        rex();
        add({0x0f, 0xae, 0x27});  // xsave
        break;
      case 2:
        rex();
        add({0x0f, 0xae, 0x37});  // xsaveopt
        break;
      case 3:
        rex();
        add({0x0f, 0xc7, 0x27});  // xsavec
        break;
      case 4:
        if (random_.one_in(3)) {
          add({0x66});
        }
        add({0xdd, 0x37});  // fnsave
        break;
      default:
        if (random_.one_in(3)) {
          add({0x66});
        }
        add({0xd9, 0x37});  // fnstenv
        break;
    }
  };
  const auto load = [&] {
    switch (random_.below(5)) {
      case 0:
        rex();
        add({0x0f, 0xae, 0x0f});  // fxrstor
        break;
      case 1:
      case 2:
        rex();
        add({0x0f, 0xae, 0x2f});  // xrstor
        break;
      case 3:
        add({0xdd, 0x27});  // frstor
        break;
      default:
        add({0xd9, 0x27});  // fldenv
        break;
    }
  };
  if (random_.one_in(2)) {
    x87();
  }
  store();
  if (random_.one_in(2)) {
    x87();
  }
  if (random_.one_in(2)) {
    load();
  }
  if (random_.one_in(2)) {
    store();
  }
  return code;
}

namespace {

// A piece of a block. A branch goes to the start of piece `target`, at its last four bytes.
struct Piece {
  Code code;
  bool branch = false;
  u64 target = 0;
};

}  // namespace

// Two to six instructions, with branches among them. Those backward count rcx down, so most blocks
// end.
Code Generator::block(u64 at) {
  const u64 count = 2 + random_.below(5);
  std::vector<Piece> pieces;
  const bool branches = random_.one_in(2);
  for (u64 i = 0; i < count; ++i) {
    Piece p;
    const u64 forward = i + 1 + random_.below(count - i);
    if (branches && random_.one_in(3)) {
      p.branch = true;
      p.target = forward;
      switch (random_.below(8)) {
        case 0:
          p.code = {0xe9};
          break;
        case 1:
          p.code = {0xe8};
          break;
        case 2:  // lea target(%rip), %rax; jmp *%rax
          pieces.push_back({{0x48, 0x8d, 0x05}, true, forward});
          p = {{0xff, static_cast<u8>(random_.one_in(2) ? 0xe0 : 0xd0)}, false, 0};
          break;
        case 3:  // dec %ecx; jnz back
          pieces.push_back({{0xff, 0xc9}, false, 0});
          p.code = {0x0f, 0x85};
          p.target = random_.below(i + 1);
          break;
        case 4:  // loop over a jump: loop +5; jmp forward; the loop itself goes on behind it
          pieces.push_back({{static_cast<u8>(0xe0 | random_.below(4)), 5}, false, 0});
          p.code = {0xe9};
          break;
        default:
          p.code = {0x0f, static_cast<u8>(0x80 | random_.below(16))};
          break;
      }
    } else {
      p.code = instruction(at, false);
    }
    pieces.push_back(std::move(p));
  }
  // Targets were counted without the extra pieces: near enough, but inside.
  std::vector<u64> starts;
  u64 size = 0;
  for (const Piece& p : pieces) {
    starts.push_back(size);
    size += p.code.size() + (p.branch ? 4 : 0);
  }
  starts.push_back(size);
  Code code;
  for (const Piece& p : pieces) {
    Code bytes = p.code;
    if (p.branch) {
      const u32 relative = static_cast<u32>(starts[p.target] - (code.size() + bytes.size() + 4));
      for (unsigned i = 0; i < 4; ++i) {
        bytes.push_back(static_cast<u8>(relative >> (8 * i)));
      }
    } else {
      suits(bytes, at + code.size(), false);  // aims what is relative, now that its place is known
    }
    code.append(bytes.all());
  }
  return code;
}

Generator::Drawn Generator::snippet(u64 at) {
  const u64 topic = random_.below(12);
  return describe(topic == 0 ? state_image() : topic < 6 ? instruction(at, true) : block(at));
}

Generator::Drawn Generator::describe(Code code) {
  Drawn drawn;
  drawn.code = code;
  bool branches = false;
  bool pushes = false;
  for (u64 offset = 0; offset < drawn.code.size();) {
    Decoded d;
    if (!decode(drawn.code.from(offset), d)) {
      break;
    }
    drawn.moves_stack = drawn.moves_stack || moves_stack(d);
    branches = branches || d.in.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE;
    pushes = pushes || uses_stack(d);
    stands_alone(d, drawn.ignored);
    offset += d.in.length;
  }
  drawn.moves_stack = drawn.moves_stack || (branches && pushes);  // in a loop, how far?
  return drawn;
}

}  // namespace selfheal::differential
