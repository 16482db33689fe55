#include "lib/runtime/wait_limit.h"

#include <csignal>
#include <ctime>
#include <initializer_list>
#include <sys/syscall.h>
#include <ucontext.h>

#include "emulator/interrupt.h"
#include "lib/base/raw_syscall.h"
#include "probes/kernel.h"
#include "probes/sandbox.h"
#include "probes/timer_signal.h"

namespace selfheal::runtime {
namespace {

constexpr u64 again_after = 10'000'000;  // ns: a signal that came too early for the call

struct Timer {
  bool made;
  bool armed;
  bool was_blocked;
  int id;
};
constinit thread_local Timer timer{};

bool make_timer() {
  if (timer.made || probes::timer_signal() == 0) {
    return timer.made;
  }
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = probes::timer_signal();
  event._sigev_un._tid = static_cast<int>(raw_syscall(SYS_gettid));
  timer.made = !syscall_failed(
      raw_syscall(SYS_timer_create, CLOCK_MONOTONIC, address_of(&event), address_of(&timer.id)));
  return timer.made;
}

timespec as_time(u64 ns) {
  constexpr u64 second = 1'000'000'000;
  return {static_cast<time_t>(ns / second), static_cast<long>(ns % second)};
}

void set_timer(u64 deadline, u64 interval) {
  const itimerspec wanted{as_time(interval), as_time(deadline)};
  raw_syscall(SYS_timer_settime, static_cast<u64>(timer.id), TIMER_ABSTIME, address_of(&wanted), 0);
}

bool may_time() {
  using probes::Call;
  for (const Call call : {Call::timer_create, Call::timer_settime, Call::rt_sigaction,
                          Call::rt_sigprocmask, Call::rt_sigreturn}) {
    if (!probes::allowed(call)) {
      return false;
    }
  }
  return true;
}

u64 timer_bit() {
  return probes::signal_bit(probes::timer_signal());
}

}  // namespace

void begin_wait(u64 deadline) {
  if (!may_time() || !make_timer()) {
    return;
  }
  timer.was_blocked = (probes::unblock_in_kernel(timer_bit()) & timer_bit()) != 0;
  timer.armed = true;
  set_timer(deadline, again_after);
}

void end_wait() {
  if (!timer.armed) {
    return;
  }
  set_timer(0, 0);
  timer.armed = false;
  if (timer.was_blocked) {
    probes::block_in_kernel(timer_bit());
  }
}

bool on_wait_timer(const siginfo_t& info, ucontext_t& context) {
  if (!timer.made || !probes::sent_by_timer(info, timer.id)) {
    return false;
  }
  if (timer.armed) {
    emulator::stop_for_time(emulator::this_thread, context);
  }
  return true;
}

void delete_wait_timer() {
  if (timer.made) {
    raw_syscall(SYS_timer_delete, static_cast<u64>(timer.id));
    forget_wait_timer();
  }
}

void forget_wait_timer() {
  timer = {};
}

}  // namespace selfheal::runtime
