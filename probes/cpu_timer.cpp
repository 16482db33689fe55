#include "probes/cpu_timer.h"

#include <ctime>
#include <sys/syscall.h>

#include "lib/base/raw_syscall.h"
#include "probes/sandbox.h"
#include "probes/thread_state.h"
#include "probes/timer_signal.h"

namespace selfheal::probes {
namespace {

// User time of the calling thread: MAKE_THREAD_CPUCLOCK(0, CPUCLOCK_VIRT),
// include/linux/posix-timers_types.h. CLOCK_THREAD_CPUTIME_ID is the same with CPUCLOCK_SCHED.
constexpr u64 per_thread = 4;
constexpr u64 user_time = 1;
constexpr u64 own_user_time = (~u64{0} << 3) | per_thread | user_time;

struct Timer {
  bool made;
  int id;
};
constinit thread_local Timer timer{};

bool may_make_timers() {
  return allowed(Call::timer_create) && allowed(Call::timer_settime) &&
         allowed(Call::rt_sigreturn) && allowed(Call::gettid);
}

}  // namespace

void start_cpu_timer(u64 interval) {
  constexpr u64 second = 1'000'000'000;
  if (timer.made || timer_signal() == 0 || this_thread().own_stack == 0 || !may_make_timers()) {
    return;
  }
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = timer_signal();
  event._sigev_un._tid = static_cast<int>(raw_syscall(SYS_gettid));
  if (syscall_failed(raw_syscall(SYS_timer_create, own_user_time, address_of(&event),
                                 address_of(&timer.id)))) {
    return;
  }
  timer.made = true;
  const timespec period{static_cast<time_t>(interval / second),
                        static_cast<long>(interval % second)};
  const itimerspec wanted{period, period};
  raw_syscall(SYS_timer_settime, static_cast<u64>(timer.id), 0, address_of(&wanted), 0);
}

void delete_cpu_timer() {
  if (timer.made) {
    raw_syscall(SYS_timer_delete, static_cast<u64>(timer.id));
    forget_cpu_timer();
  }
}

void forget_cpu_timer() {
  timer = {};
}

bool is_cpu_tick(const siginfo_t& info) {
  return timer.made && sent_by_timer(info, timer.id);
}

}  // namespace selfheal::probes
