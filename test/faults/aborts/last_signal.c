/* Runs a program and says of the SIGABRTs that are delivered to it whether the last one, of which
   it dies, is the first one again: same siginfo, same registers. What the first one is like has
   nothing to do with who handles it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct moment {
  siginfo_t info;
  struct user_regs_struct registers;
};

static void look(pid_t child, struct moment* moment) {
  memset(moment, 0, sizeof *moment);
  if (ptrace(PTRACE_GETSIGINFO, child, 0, &moment->info) != 0 ||
      ptrace(PTRACE_GETREGS, child, 0, &moment->registers) != 0) {
    perror("ptrace");
    exit(2);
  }
  moment->registers.orig_rax = 0; /* of the system call it interrupted, or of ours */
}

int main(int argc, char** argv) {
  struct moment first;
  struct moment last;
  int deliveries = 0;
  int status = 0;
  if (argc < 2) {
    return 2;
  }
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    execv(argv[1], argv + 1);
    _exit(127);
  }
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    const int signal = WSTOPSIG(status);
    if (signal == SIGABRT) {
      look(child, deliveries == 0 ? &first : &last);
      if (deliveries++ == 0) {
        last = first;
      }
    }
    ptrace(PTRACE_CONT, child, 0, signal == SIGTRAP ? 0 : signal);
  }
  if (!WIFSIGNALED(status) || deliveries == 0) {
    puts("no abort");
    return 1;
  }
  const int same_info = last.info.si_signo == first.info.si_signo &&
                        last.info.si_code == first.info.si_code &&
                        last.info.si_pid == first.info.si_pid &&
                        last.info.si_uid == first.info.si_uid && last.info.si_pid == child;
  const int same_registers = memcmp(&first.registers, &last.registers, sizeof first.registers) == 0;
  printf("deliveries %d, signal %d, siginfo %s, registers %s\n", deliveries, WTERMSIG(status),
         same_info ? "same" : "different", same_registers ? "same" : "different");
  return 0;
}
