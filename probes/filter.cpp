#include "probes/filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "probes/bpf.h"

namespace selfheal::probes {
namespace {

struct Example {
  Call call;
  int number;
  u64 arguments[6];
};

// Filters compare arguments too, so each call is tried with those the runtime would use.
constexpr u64 anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr Example examples[] = {
    {Call::rt_sigreturn, SYS_rt_sigreturn, {}},
    {Call::rt_sigprocmask, SYS_rt_sigprocmask, {SIG_SETMASK, 0, 0, 8}},
    {Call::rt_sigaction, SYS_rt_sigaction, {SIGSEGV, 0, 0, 8}},
    {Call::sigaltstack, SYS_sigaltstack, {}},
    {Call::rt_tgsigqueueinfo, SYS_rt_tgsigqueueinfo, {1, 1, SIGSEGV}},
    {Call::tgkill, SYS_tgkill, {1, 1, SIGSEGV}},
    {Call::getpid, SYS_getpid, {}},
    {Call::gettid, SYS_gettid, {}},
    {Call::exit_group, SYS_exit_group, {1}},
    {Call::write, SYS_write, {2, 0, 64}},
    {Call::open, SYS_openat, {static_cast<u32>(AT_FDCWD), 0, O_RDONLY | O_CLOEXEC}},
    {Call::close, SYS_close, {100}},
    {Call::mmap, SYS_mmap, {0, page_size, PROT_READ | PROT_WRITE, anonymous, ~u64{0}}},
    {Call::mmap_code, SYS_mmap, {0, page_size, PROT_READ | PROT_EXEC, MAP_SHARED, 3}},
    {Call::mprotect, SYS_mprotect, {0, page_size, PROT_READ}},
    {Call::munmap, SYS_munmap, {0, page_size}},
    {Call::memfd_create, SYS_memfd_create, {0, 1}},
    {Call::pread, SYS_pread64, {3, 0, 64}},
    {Call::pwrite, SYS_pwrite64, {3, 0, 64}},
    {Call::membarrier, SYS_membarrier, {MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE}},
    {Call::process_vm_readv, SYS_process_vm_readv, {1, 0, 1, 0, 1}},
    {Call::futex, SYS_futex, {0, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1}},
    {Call::clock_gettime, SYS_clock_gettime, {CLOCK_MONOTONIC}},
    {Call::timer_create, SYS_timer_create, {}},
    {Call::timer_settime, SYS_timer_settime, {}},
    {Call::clone, SYS_clone, {SIGCHLD}},
};
static_assert(std::size(examples) == static_cast<unsigned>(Call::count));

Answer meaning(u32 verdict) {
  switch (verdict & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
      return Answer::allowed;
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_TRACE:  // ENOSYS when nobody traces
      return Answer::fails;
    default:
      // Killed; or SIGSYS, or somebody else is asked and may never answer: as bad on our paths.
      return Answer::kills;
  }
}

}  // namespace

Answers answers_of(std::span<const sock_filter> program) {
  Answers answers{};
  for (const Example& example : examples) {
    seccomp_data data{};
    data.nr = example.number;
    data.arch = AUDIT_ARCH_X86_64;
    for (unsigned i = 0; i < 6; ++i) {
      data.args[i] = example.arguments[i];
    }
    const std::optional<u32> verdict = run_filter(program, data);
    if (!verdict) {
      return {};
    }
    answers[static_cast<unsigned>(example.call)] = meaning(*verdict);
  }
  return answers;
}

Answers answers_of_strict_mode() {
  Answers answers;
  answers.fill(Answer::kills);
  for (const Call call : {Call::rt_sigreturn, Call::write}) {
    answers[static_cast<unsigned>(call)] = Answer::allowed;
  }
  return answers;
}

}  // namespace selfheal::probes
