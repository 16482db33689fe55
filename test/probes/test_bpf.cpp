#include <catch2/catch.hpp>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <random>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <vector>

#include "probes/bpf.h"
#include "probes/filter.h"

using namespace selfheal;
using namespace selfheal::probes;

namespace {

using Program = std::vector<sock_filter>;

sock_filter statement(unsigned code, u32 k) {
  return BPF_STMT(static_cast<u16>(code), k);
}
sock_filter jump(unsigned code, u32 k, u8 yes, u8 no) {
  return BPF_JUMP(static_cast<u16>(code), k, yes, no);
}

std::optional<u32> run(const Program& program, int number = 0, u64 argument = 0) {
  seccomp_data data{};
  data.nr = number;
  data.arch = AUDIT_ARCH_X86_64;
  data.args[0] = argument;
  data.args[2] = argument;
  return run_filter(program, data);
}

const sock_filter load_number = statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
const sock_filter load_protection =
    statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2]));
const sock_filter return_a = statement(BPF_RET | BPF_A, 0);

void allow(Program& p, int number) {
  p.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<u32>(number), 0, 1));
  p.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

// The shape of sshd's pre-authentication filter: mmap without PROT_EXEC, openat fails, a few calls
// are allowed, everything else kills.
Program like_sshd() {
  Program p{statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
            jump(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
            statement(BPF_RET | BPF_K, SECCOMP_RET_KILL),
            load_number,
            jump(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
            statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)};
  for (const int number : {SYS_write, SYS_close, SYS_munmap, SYS_rt_sigprocmask, SYS_getpid,
                           SYS_futex, SYS_clock_gettime, SYS_exit_group}) {
    allow(p, number);
  }
  for (const int number : {SYS_mmap, SYS_mprotect}) {
    p.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<u32>(number), 0, 3));
    p.push_back(load_protection);
    p.push_back(jump(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0));
    p.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  p.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_KILL));
  return p;
}

}  // namespace

TEST_CASE("a filter like sshd's leaves what sshd's leaves") {
  const Answers answers = answers_of(like_sshd());
  const auto at = [&](Call call) { return answers[static_cast<unsigned>(call)]; };
  for (const Call call :
       {Call::write, Call::close, Call::munmap, Call::rt_sigprocmask, Call::getpid, Call::futex,
        Call::clock_gettime, Call::exit_group, Call::mmap, Call::mprotect}) {
    CHECK(at(call) == Answer::allowed);
  }
  CHECK(at(Call::open) == Answer::fails);
  for (const Call call : {Call::rt_sigreturn, Call::rt_sigaction, Call::sigaltstack, Call::tgkill,
                          Call::mmap_code, Call::timer_create, Call::clone, Call::gettid}) {
    CHECK(at(call) == Answer::kills);
  }
}

TEST_CASE("each instruction computes what classic BPF says") {
  const auto binary = [](unsigned operation, u32 a, u32 k) {
    const auto by_constant =
        run({statement(BPF_LD | BPF_IMM, a), statement(BPF_ALU | operation | BPF_K, k), return_a});
    const auto by_register = run({statement(BPF_LD | BPF_IMM, a), statement(BPF_LDX | BPF_IMM, k),
                                  statement(BPF_ALU | operation | BPF_X, 0), return_a});
    CHECK(by_constant == by_register);
    return by_constant.value();
  };
  CHECK(binary(BPF_ADD, 0xffffffff, 2) == 1);
  CHECK(binary(BPF_SUB, 1, 2) == 0xffffffff);
  CHECK(binary(BPF_MUL, 0x10000, 0x10001) == 0x10000);
  CHECK(binary(BPF_DIV, 7, 2) == 3);
  CHECK(binary(BPF_AND, 12, 10) == 8);
  CHECK(binary(BPF_OR, 12, 10) == 14);
  CHECK(binary(BPF_XOR, 12, 10) == 6);
  CHECK(binary(BPF_LSH, 3, 4) == 48);
  CHECK(binary(BPF_RSH, 0x80000000, 31) == 1);
  CHECK(run({statement(BPF_LD | BPF_IMM, 5), statement(BPF_ALU | BPF_NEG, 0), return_a}) ==
        static_cast<u32>(-5));
  CHECK(run({statement(BPF_LD | BPF_IMM, 9), statement(BPF_ST, 15),
             statement(BPF_LDX | BPF_MEM, 15), statement(BPF_MISC | BPF_TXA, 0), return_a}) == 9);
  CHECK(run({statement(BPF_LD | BPF_W | BPF_LEN, 0), return_a}) == sizeof(seccomp_data));
  CHECK(run({load_number, return_a}, 231) == 231);
  CHECK(run({load_protection, return_a}, 0, 0x500000007) == 7);
}

TEST_CASE("jumps compare unsigned and go to the right branch") {
  const auto taken = [](unsigned operation, u32 a, u32 k) {
    return run({statement(BPF_LD | BPF_IMM, a), jump(BPF_JMP | operation | BPF_K, k, 1, 0),
                statement(BPF_RET | BPF_K, 0), statement(BPF_RET | BPF_K, 1)}) == 1;
  };
  CHECK(taken(BPF_JGT, 0x80000000, 1));
  CHECK_FALSE(taken(BPF_JGT, 1, 1));
  CHECK(taken(BPF_JGE, 1, 1));
  CHECK(taken(BPF_JEQ, 7, 7));
  CHECK_FALSE(taken(BPF_JEQ, 7, 8));
  CHECK(taken(BPF_JSET, 6, 2));
  CHECK_FALSE(taken(BPF_JSET, 5, 2));
}

TEST_CASE("division by a zero register ends the program with zero, as in the kernel") {
  CHECK(run({statement(BPF_LDX | BPF_IMM, 0), statement(BPF_ALU | BPF_DIV | BPF_X, 0),
             statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}) == 0);
}

TEST_CASE("programs the kernel would refuse have no answer") {
  CHECK_FALSE(run({}));
  CHECK_FALSE(run({statement(BPF_LD | BPF_IMM, 1)}));
  CHECK_FALSE(run({statement(BPF_JMP | BPF_JA, 0xffffffff), return_a}));
  CHECK_FALSE(run({jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 200, 200), return_a}));
  CHECK_FALSE(run({statement(BPF_LD | BPF_W | BPF_ABS, sizeof(seccomp_data)), return_a}));
  CHECK_FALSE(run({statement(BPF_LD | BPF_W | BPF_ABS, 2), return_a}));
  CHECK_FALSE(run({statement(BPF_LD | BPF_B | BPF_ABS, 0), return_a}));
  CHECK_FALSE(run({statement(BPF_LD | BPF_MEM, 16), return_a}));
  CHECK_FALSE(run({statement(BPF_ST, 16), return_a}));
  CHECK_FALSE(run({statement(BPF_ALU | BPF_DIV | BPF_K, 0), return_a}));
  CHECK_FALSE(run({statement(BPF_ALU | 0xf0, 0), return_a}));
  CHECK(answers_of(Program{statement(BPF_ALU | 0xf0, 0)}) == Answers{});
}

TEST_CASE("random programs end") {
  std::mt19937 random(20231);  // fixed seed: the loop below is the replay
  for (int round = 0; round < 20000; ++round) {
    Program p(1 + random() % 64);
    for (auto& i : p) {
      i = {static_cast<u16>(random() % 0x100), static_cast<u8>(random()), static_cast<u8>(random()),
           random() % 4 == 0 ? static_cast<u32>(random()) : static_cast<u32>(random() % 70)};
    }
    run(p, static_cast<int>(random() % 400));
  }
  SUCCEED();
}
