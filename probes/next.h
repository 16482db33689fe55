// The next definitions, after ours, of the libc functions we interpose: typed names for the slots
// that forwards.S lays out.
#pragma once

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

namespace selfheal::probes {

#define SELFHEAL_NEXT(result, name, ...) \
  extern "C" __attribute__((visibility("hidden"))) result (*selfheal_next_##name)(__VA_ARGS__)

SELFHEAL_NEXT(int, ppoll, pollfd*, nfds_t, const timespec*, const sigset_t*);
SELFHEAL_NEXT(int, __ppoll_chk, pollfd*, nfds_t, const timespec*, const sigset_t*, size_t);
SELFHEAL_NEXT(int, pselect, int, fd_set*, fd_set*, fd_set*, const timespec*, const sigset_t*);
SELFHEAL_NEXT(int, epoll_pwait, int, epoll_event*, int, int, const sigset_t*);
SELFHEAL_NEXT(int, epoll_pwait2, int, epoll_event*, int, const timespec*, const sigset_t*);
SELFHEAL_NEXT(int, sigaction, int, const struct sigaction*, struct sigaction*);
SELFHEAL_NEXT(int, sigprocmask, int, const sigset_t*, sigset_t*);
SELFHEAL_NEXT(int, pthread_sigmask, int, const sigset_t*, sigset_t*);
SELFHEAL_NEXT(int, sigsuspend, const sigset_t*);
SELFHEAL_NEXT(int, sigaltstack, const stack_t*, stack_t*);
SELFHEAL_NEXT(int, pthread_create, pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
SELFHEAL_NEXT(int, pthread_cancel, pthread_t);
SELFHEAL_NEXT(int, mprotect, void*, size_t, int);
SELFHEAL_NEXT(int, pkey_mprotect, void*, size_t, int, int);
SELFHEAL_NEXT(int, prctl, int, ...);
SELFHEAL_NEXT(long, syscall, long, ...);

#undef SELFHEAL_NEXT

// Looks all of them up. A name this libc lacks keeps its stub; calling it then ends the process,
// as the dynamic linker would have done.
void resolve_all_next();

// Defines the exported function `name` without a clash with the declaration in libc's header.
#define SELFHEAL_INTERPOSE(result, name, ...)       \
  extern "C" __attribute__((visibility("default"))) \
  result interposed_##name(__VA_ARGS__) asm(#name); \
  extern "C" result interposed_##name(__VA_ARGS__)

}  // namespace selfheal::probes
