#include "probes/bpf.h"

#include <string.h>

namespace selfheal::probes {
namespace {

struct Machine {
  u32 a = 0;
  u32 x = 0;
  u32 scratch[BPF_MEMWORDS] = {};
};

// False: not an operation of the class ALU, or one the kernel refuses (a constant zero divisor).
bool arithmetic(Machine& m, const sock_filter& i) {
  const u32 operand = BPF_SRC(i.code) == BPF_X ? m.x : i.k;
  switch (BPF_OP(i.code)) {
    case BPF_ADD:
      m.a += operand;
      return true;
    case BPF_SUB:
      m.a -= operand;
      return true;
    case BPF_MUL:
      m.a *= operand;
      return true;
    case BPF_DIV:
      if (operand == 0) {
        return false;
      }
      m.a /= operand;
      return true;
    case BPF_AND:
      m.a &= operand;
      return true;
    case BPF_OR:
      m.a |= operand;
      return true;
    case BPF_XOR:
      m.a ^= operand;
      return true;
    case BPF_LSH:
      m.a = operand < 32 ? m.a << operand : 0;
      return true;
    case BPF_RSH:
      m.a = operand < 32 ? m.a >> operand : 0;
      return true;
    case BPF_NEG:
      m.a = 0 - m.a;
      return true;
    default:
      return false;
  }
}

std::optional<u32> jump_distance(const Machine& m, const sock_filter& i) {
  const u32 operand = BPF_SRC(i.code) == BPF_X ? m.x : i.k;
  bool taken;
  switch (BPF_OP(i.code)) {
    case BPF_JA:
      return i.k;
    case BPF_JEQ:
      taken = m.a == operand;
      break;
    case BPF_JGT:
      taken = m.a > operand;
      break;
    case BPF_JGE:
      taken = m.a >= operand;
      break;
    case BPF_JSET:
      taken = (m.a & operand) != 0;
      break;
    default:
      return std::nullopt;
  }
  return taken ? i.jt : i.jf;
}

// Loads of seccomp_data: aligned 32-bit words only.
std::optional<u32> load(const Machine& m, const sock_filter& i, const seccomp_data& data) {
  switch (BPF_MODE(i.code)) {
    case BPF_IMM:
      return i.k;
    case BPF_LEN:
      return static_cast<u32>(sizeof data);
    case BPF_MEM:
      if (i.k >= BPF_MEMWORDS) {
        return std::nullopt;
      }
      return m.scratch[i.k];
    case BPF_ABS: {
      if (i.k >= sizeof data || i.k % sizeof(u32) != 0 || BPF_CLASS(i.code) != BPF_LD) {
        return std::nullopt;
      }
      u32 word;
      memcpy(&word, reinterpret_cast<const u8*>(&data) + i.k, sizeof word);
      return word;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<u32> run_filter(std::span<const sock_filter> program, const seccomp_data& data) {
  Machine m;
  for (u64 pc = 0; pc < program.size(); ++pc) {
    const sock_filter& i = program[pc];
    switch (BPF_CLASS(i.code)) {
      case BPF_LD:
      case BPF_LDX: {
        const std::optional<u32> value =
            BPF_SIZE(i.code) == BPF_W ? load(m, i, data) : std::nullopt;
        if (!value) {
          return std::nullopt;
        }
        (BPF_CLASS(i.code) == BPF_LD ? m.a : m.x) = *value;
        break;
      }
      case BPF_ST:
      case BPF_STX:
        if (i.k >= BPF_MEMWORDS) {
          return std::nullopt;
        }
        m.scratch[i.k] = BPF_CLASS(i.code) == BPF_ST ? m.a : m.x;
        break;
      case BPF_ALU:
        if (BPF_OP(i.code) == BPF_DIV && BPF_SRC(i.code) == BPF_X && m.x == 0) {
          return 0;  // the kernel ends the program so; 0 is SECCOMP_RET_KILL_THREAD
        }
        if (!arithmetic(m, i)) {
          return std::nullopt;
        }
        break;
      case BPF_JMP: {
        const std::optional<u32> distance = jump_distance(m, i);
        if (!distance) {
          return std::nullopt;
        }
        pc += *distance;  // u64: cannot wrap, the loop's condition catches what is out of range
        break;
      }
      case BPF_RET:
        return BPF_RVAL(i.code) == BPF_A ? m.a : i.k;
      case BPF_MISC:
        if (BPF_MISCOP(i.code) == BPF_TAX) {
          m.x = m.a;
        } else {
          m.a = m.x;
        }
        break;
      default:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace selfheal::probes
