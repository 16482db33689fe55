#include "lib/runtime/wait_limit.h"

#include <atomic>
#include <csignal>
#include <ctime>
#include <sys/syscall.h>
#include <ucontext.h>

#include "emulator/interrupt.h"
#include "lib/base/raw_syscall.h"
#include "probes/kernel.h"
#include "probes/sandbox.h"

extern "C" __attribute__((visibility("hidden"))) void selfheal_restorer();

namespace selfheal::runtime {
namespace {

using probes::Disposition;

constexpr int highest = 64;
constexpr int lowest = 48;
constexpr u64 again_after = 10'000'000;  // ns: a signal that came too early for the call

constinit std::atomic<int> our_signal{0};

struct Timer {
  bool made;
  bool armed;
  bool was_blocked;
  int signal;
  int id;
};
constinit thread_local Timer timer{};

void on_time(int, siginfo_t* info, void* context) {
  if (info->si_code == SI_TIMER && timer.armed) {
    emulator::stop_for_time(emulator::this_thread, *static_cast<ucontext_t*>(context));
  }
}

u64 handler_address() {
  return address_of_function(&on_time);
}

bool is_ours(int signal) {
  Disposition now{};
  return signal != 0 && probes::kernel_sigaction(signal, nullptr, &now) &&
         now.handler == handler_address();
}

// 0: all are taken.
int choose_signal() {
  constexpr u64 restorer_flag = 0x04000000;
  const Disposition wanted{handler_address(), SA_SIGINFO | SA_RESTART | restorer_flag,
                           address_of_function(&selfheal_restorer), 0};
  for (int signal = highest; signal >= lowest; --signal) {
    Disposition now{};
    if (probes::kernel_sigaction(signal, nullptr, &now) && now.is_default() &&
        probes::kernel_sigaction(signal, &wanted, nullptr)) {
      our_signal.store(signal);
      return signal;
    }
  }
  return 0;
}

bool make_timer() {
  int signal = our_signal.load();
  if (!is_ours(signal)) {
    signal = choose_signal();
  }
  if (timer.made && timer.signal == signal) {
    return true;
  }
  delete_wait_timer();
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = signal;
  event._sigev_un._tid = static_cast<int>(raw_syscall(SYS_gettid));
  timer.signal = signal;
  timer.made =
      signal != 0 && !syscall_failed(raw_syscall(SYS_timer_create, CLOCK_MONOTONIC,
                                                 address_of(&event), address_of(&timer.id)));
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

u64 bit_of(int signal) {
  return u64{1} << (signal - 1);
}

}  // namespace

void begin_wait(u64 deadline) {
  if (!may_time() || !make_timer()) {
    return;
  }
  timer.was_blocked = (probes::unblock_in_kernel(bit_of(timer.signal)) & bit_of(timer.signal)) != 0;
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
    probes::block_in_kernel(bit_of(timer.signal));
  }
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
