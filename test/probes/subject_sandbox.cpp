// Faults in a sandbox like the one of sshd's unprivileged child (facts-servers.md, section 1).
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "test/probes/subject.h"

using namespace subject;

namespace {

enum class Door { prctl, syscall };

// Allows a few calls; all others kill the process. `mask_too`: rt_sigprocmask is among the few.
void enter_sandbox(Door door, bool mask_too, bool sigreturn_too = false) {
#define ALLOW(number)                                                       \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1), \
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      ALLOW(SYS_write),
      ALLOW(SYS_exit_group),
      ALLOW(SYS_getpid),
      ALLOW(mask_too ? SYS_rt_sigprocmask : SYS_write),
      ALLOW(sigreturn_too ? SYS_rt_sigreturn : SYS_write),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long result = door == Door::prctl
                          ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0)
                          : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
  printf("sandbox %ld\n", result);
}

int fault_and_report() {
  int sum = 0;
  for (int i = 0; i < 1000; ++i) {
    sum += null_read() + null_write() + wild_read() + divide_by_zero();
  }
  printf("%d\n", sum);
  return 3;
}

}  // namespace

SCENARIO(sandbox_resume) {
  enter_sandbox(Door::prctl, true);
  return fault_and_report();
}

SCENARIO(sandbox_resume_by_syscall) {
  enter_sandbox(Door::syscall, false);
  return fault_and_report();
}

SCENARIO(sandbox_resume_keeps_registers) {
  enter_sandbox(Door::prctl, true);
  alignas(64) unsigned char in[64];
  alignas(64) unsigned char out[64];
  for (unsigned i = 0; i < 64; ++i) {
    in[i] = static_cast<unsigned char>(i * 7 + 1);
    out[i] = 0;
  }
  const unsigned rounding = 0x7f80;  // towards zero, all masked, denormals flushed or not
  unsigned rounding_after = 0;
  unsigned long flags = 0;
  unsigned long sum = 0;
  asm volatile(
      "ldmxcsr %[mx]\n\tvmovdqa (%[in]), %%ymm5\n\tlea 1f(%%rip), %%r15\n\t"
      "movq $0x77, -128(%%rsp)\n\t"
      "mov $2, %%ebx\n\tmov $3, %%r8d\n\tmov $5, %%r9d\n\tmov $7, %%r10d\n\tmov $11, %%r11d\n\t"
      "mov $13, %%r13d\n\tmov $19, %%ecx\n\tmov $23, %%edx\n\t"
      "mov $0x7fffffff, %%eax\n\tadd $1, %%eax\n\tmov $0, %%eax\n\tmov 8(%%rax), %%rax\n\tud2\n"
      "1:\tpushf\n\tpop %[flags]\n\tmov %%rbx, %[sum]\n\tadd %%r8, %[sum]\n\tadd %%r9, %[sum]\n\t"
      "add %%r10, %[sum]\n\tadd %%r11, %[sum]\n\tadd %%r13, %[sum]\n\t"
      "add %%rcx, %[sum]\n\tadd %%rdx, %[sum]\n\tadd -128(%%rsp), %[sum]\n\t"
      "vmovdqa %%ymm5, (%[out])\n\tstmxcsr %[after]"
      : [flags] "=&r"(flags), [sum] "=&r"(sum), [after] "=m"(rounding_after)
      : [in] "S"(in), [out] "D"(out), [mx] "m"(rounding)
      : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r13", "r15", "ymm5", "memory", "cc");
  printf("vector %s flags %lx sum %lu rounding %x\n", yes(memcmp(in, out, 32) == 0), flags & 0x8d5,
         sum, rounding_after);
  return 0;
}

SCENARIO(sandbox_die_null) {
  enter_sandbox(Door::prctl, true);
  return null_read();
}
SCENARIO(sandbox_die_divide) {
  enter_sandbox(Door::prctl, true);
  return divide_by_zero();
}
SCENARIO(sandbox_die_illegal) {
  enter_sandbox(Door::syscall, true);
  return illegal_instruction();
}
SCENARIO(sandbox_die_stack) {
  enter_sandbox(Door::prctl, true);
  return overflow_stack(0);
}
SCENARIO(sandbox_die_with_sigreturn) {
  enter_sandbox(Door::prctl, true, true);
  return null_write();
}
SCENARIO(sandbox_die_without_any_call) {
  enter_sandbox(Door::prctl, false);
  return null_read();
}

SCENARIO(sandbox_handler_jumps_out) {
  static sigjmp_buf landing;
  signal(SIGSEGV, [](int) { siglongjmp(landing, 1); });
  enter_sandbox(Door::prctl, true);
  for (volatile int i = 0; i < 3; i = i + 1) {
    if (sigsetjmp(landing, 1) == 0) {
      null_read();
    }
  }
  puts("out");
  return 0;
}

SCENARIO(bad_filters_are_refused_alike) {
  errno = 0;
  printf("%d", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 8L, 0, 0));
  printf(" %d\n", errno);
  sock_filter loops[] = {BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff)};
  const sock_fprog program{1, loops};
  errno = 0;
  printf("%ld", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
  printf(" %d\n", errno);
  errno = 0;
  printf("%ld", syscall(SYS_seccomp, 77, 0, nullptr));
  printf(" %d\n", errno);
  printf("%d\n", syscall(SYS_getppid) == getppid());
  printf("%d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
  null_read();
  return 0;
}
