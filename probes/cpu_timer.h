// Ticks of a thread's own processor time.
//
//      user mode    ████████      ████  ██████████          ███████
//      system calls         ░░░░░░    ░░          ░░ asleep ░
//      ticks               ▲             ▲                     ▲
//
// The clock is the time the thread has spent in *user mode*, and the kernel advances and checks it
// in the clock interrupt that finds the thread there (account_process_tick, run_posix_cpu_timers;
// kernel/time). So the signal is raised while the thread executes its own code, and is delivered
// before the next instruction of it: never inside a system call. No call of the application's ever
// fails with EINTR, sleeps shorter or writes less because of us, which SA_RESTART could not
// promise: epoll_wait, nanosleep or a half-done write are not restarted. (CLOCK_THREAD_CPUTIME_ID
// counts time in the kernel as well, and would do all that to a busy server.) On a kernel built
// with VIRT_CPU_ACCOUNTING_GEN, and on a processor set apart by nohz_full, the clock is read at the
// borders of system calls instead and a tick may come late, in one; a thread there also keeps its
// clock interrupt because of the timer. Such a program should have the option hang-seconds=0.
//
// An armed timer costs two comparisons in each clock interrupt, and a tick about two microseconds.
// Timers do not survive fork, and belong to the process: an ending thread must delete its own.
#pragma once

#include "probes/hooks.h"

namespace selfheal::probes {

// Starts the calling thread's timer, which from now on sends it the timer signal each
// `interval` nanoseconds of user mode. Without an alternate stack, where a filter forbids it, or
// when no signal is free: nothing happens.
void start_cpu_timer(u64 interval);

void delete_cpu_timer();

// In a fork child: the timer was the parent's.
void forget_cpu_timer();

// Was this signal sent by the calling thread's timer?
bool is_cpu_tick(const siginfo_t& info);

}  // namespace selfheal::probes
