// Signal masks as the application sets and sees them.
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>

#include "test/probes/subject.h"

using namespace subject;

namespace {

unsigned long bits(const sigset_t& set) {
  unsigned long mask;
  memcpy(&mask, &set, sizeof mask);
  return mask;
}

sigset_t set_of(unsigned long mask) {
  sigset_t set{};
  memcpy(&set, &mask, sizeof mask);
  return set;
}

constexpr unsigned long bit(int signal) {
  return 1UL << (signal - 1);
}

unsigned long mask_now() {
  sigset_t now{};
  pthread_sigmask(SIG_SETMASK, nullptr, &now);
  return bits(now);
}

void change(int how, unsigned long mask) {
  const sigset_t set = set_of(mask);
  sigset_t before{};
  const int result = sigprocmask(how, &set, &before);
  printf("%d before %lx now %lx\n", result, bits(before), mask_now());
}

void note(int signal) {
  printf("delivered %d\n", signal);
}

}  // namespace

SCENARIO(mask_views) {
  printf("%lx\n", mask_now());
  change(SIG_BLOCK, bit(SIGSEGV) | bit(SIGUSR1));
  change(SIG_BLOCK, bit(SIGBUS));
  change(SIG_UNBLOCK, bit(SIGSEGV) | bit(SIGUSR2));
  change(SIG_SETMASK, ~0UL);
  change(SIG_SETMASK, bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP));
  change(SIG_UNBLOCK, ~0UL);
  errno = 0;
  change(99, bit(SIGSEGV));
  printf("%s\n", strerrorname_np(errno));
  sigset_t same = set_of(bit(SIGSEGV));
  sigprocmask(SIG_BLOCK, &same, &same);
  printf("%lx %lx\n", bits(same), mask_now());
  printf("%x\n", sigblock(1 << (SIGBUS - 1)));
  printf("%x\n", sigsetmask(1 << (SIGILL - 1) | 1 << (SIGHUP - 1)));
  printf("%x\n", siggetmask());
  return 0;
}

SCENARIO(sent_while_blocked_comes_later) {
  signal(SIGSEGV, note);
  change(SIG_BLOCK, bit(SIGSEGV) | bit(SIGUSR1));
  raise(SIGSEGV);
  kill(getpid(), SIGSEGV);
  sigset_t pending{};
  sigpending(&pending);
  printf("pending %s\n", yes(sigismember(&pending, SIGSEGV)));
  puts("unblocking");
  change(SIG_UNBLOCK, bit(SIGSEGV));
  puts("unblocked");
  raise(SIGSEGV);
  return 0;
}

SCENARIO(sent_while_blocked_wakes_sigsuspend) {
  signal(SIGFPE, note);
  change(SIG_BLOCK, bit(SIGFPE));
  raise(SIGFPE);
  const sigset_t open = set_of(0);
  const int result = sigsuspend(&open);
  printf("%d %s\n", result, strerrorname_np(errno));
  printf("still blocked %s\n", yes(blocked_now(SIGFPE)));
  return 0;
}

SCENARIO(sent_while_blocked_wakes_ppoll_and_its_kin) {
  signal(SIGFPE, note);
  change(SIG_BLOCK, bit(SIGFPE));
  const sigset_t open = set_of(0);
  const sigset_t closed = set_of(bit(SIGFPE));
  const timespec moment{0, 1000000};
  const timespec second{10, 0};
  raise(SIGFPE);
  printf("closed %d\n", ppoll(nullptr, 0, &moment, &closed));
  printf("open %d %d\n", ppoll(nullptr, 0, &second, &open), errno);
  raise(SIGFPE);
  printf("pselect %d %d\n", pselect(0, nullptr, nullptr, nullptr, &second, &open), errno);
  raise(SIGFPE);
  epoll_event event;
  const int epoll = epoll_create1(0);
  printf("epoll_pwait %d %d\n", epoll_pwait(epoll, &event, 1, 10000, &open), errno);
  printf("no mask %d\n", epoll_pwait(epoll, &event, 1, 1, nullptr));
  printf("still blocked %s\n", yes(blocked_now(SIGFPE)));
  return 0;
}

SCENARIO(sigwait_takes_a_blocked_signal) {
  change(SIG_BLOCK, bit(SIGFPE));
  raise(SIGFPE);
  const sigset_t wanted = set_of(bit(SIGFPE));
  int got = 0;
  printf("%d", sigwait(&wanted, &got));
  printf(" %d\n", got);
  return 0;
}

SCENARIO(fault_while_blocked_kills_despite_handler) {
  signal(SIGSEGV, note);
  change(SIG_BLOCK, bit(SIGSEGV));
  null_read();
  return 0;
}

SCENARIO(fault_under_a_handler_that_blocks_all) {
  signal(SIGSEGV, note);
  install(SIGUSR1, [](int, siginfo_t*, void*) { null_read(); }, SA_SIGINFO,
          {SIGSEGV, SIGBUS, SIGHUP});
  struct sigaction now {};
  sigaction(SIGUSR1, nullptr, &now);
  printf("mask %lx\n", bits(now.sa_mask));
  return 0;
}

namespace {

void* report_mask(void*) {
  printf("thread %lx\n", mask_now());
  change(SIG_UNBLOCK, bit(SIGSEGV));
  return nullptr;
}

}  // namespace

SCENARIO(threads_inherit_masks) {
  change(SIG_BLOCK, bit(SIGSEGV) | bit(SIGUSR1) | bit(SIGILL));
  pthread_t thread;
  pthread_create(&thread, nullptr, report_mask, nullptr);
  pthread_join(thread, nullptr);
  printf("%lx\n", mask_now());
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  const sigset_t wanted = set_of(bit(SIGBUS) | bit(SIGHUP));
  pthread_attr_setsigmask_np(&attributes, &wanted);
  pthread_create(&thread, &attributes, report_mask, nullptr);
  pthread_join(thread, nullptr);
  return 0;
}

SCENARIO(fork_inherits_masks) {
  change(SIG_BLOCK, bit(SIGSEGV));
  const pid_t child = fork();
  if (child == 0) {
    printf("child %lx\n", mask_now());
    null_read();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("status %x\n", status);
  return 0;
}
