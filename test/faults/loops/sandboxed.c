/* Loops without end in a sandbox like that of sshd's unprivileged child: a filter that kills for
   rt_sigreturn, among most others. Says "looping" before. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/support/opaque.h"

#define ALLOW(number)                                            \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(number), 0, 1), \
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int enter_sandbox(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      ALLOW(SYS_write),
      ALLOW(SYS_exit_group),
      ALLOW(SYS_getpid),
      ALLOW(SYS_futex),
      ALLOW(SYS_clock_gettime),
      ALLOW(SYS_rt_sigprocmask),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0;
}

SELFHEAL_APART int skip_zeroes(const volatile int* at) {
  int skipped = 0;
  while (*at == 0) {
    ++skipped;
  }
  return skipped;
}

int main(void) {
  static volatile int zero;
  if (enter_sandbox() || write(STDOUT_FILENO, "looping\n", 8) != 8) {
    return 1;
  }
  return skip_zeroes(&zero);
}
