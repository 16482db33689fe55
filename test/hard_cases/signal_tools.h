// What the cases of signals share.
#pragma once

#include <atomic>
#include <initializer_list>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>

namespace hard {

using Handler = void (*)(int, siginfo_t*, void*);

inline std::atomic<int> count;
inline volatile uint64_t seen_rip;
inline volatile uint64_t seen_stack;

inline void handle(int signal, Handler handler, int flags = 0,
                   std::initializer_list<int> mask = {}) {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | flags;
  for (const int blocked : mask) {
    sigaddset(&action.sa_mask, blocked);
  }
  sigaction(signal, &action, nullptr);
}

inline greg_t* registers_of(void* context) {
  return static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
}

inline void note(int, siginfo_t*, void* context) {
  ++count;
  seen_rip = static_cast<uint64_t>(registers_of(context)[REG_RIP]);
  seen_stack = reinterpret_cast<uint64_t>(__builtin_frame_address(0));
}

inline bool inside(uint64_t address, const void* begin, const void* end) {
  return address >= reinterpret_cast<uint64_t>(begin) && address < reinterpret_cast<uint64_t>(end);
}

// Sends this thread, or process, signals from another thread until it is told to stop.
class Sender {
 public:
  explicit Sender(int signal, long nanoseconds = 200'000)
      : target_(pthread_self()), signal_(signal), pause_{0, nanoseconds} {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_create(&thread_, nullptr, &run, this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Sender() {
    stop_ = true;
    pthread_join(thread_, nullptr);
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

 private:
  static void* run(void* argument) {
    auto& sender = *static_cast<Sender*>(argument);
    while (!sender.stop_) {
      pthread_kill(sender.target_, sender.signal_);
      nanosleep(&sender.pause_, nullptr);
    }
    return nullptr;
  }
  pthread_t target_;
  int signal_;
  timespec pause_;
  std::atomic<bool> stop_{false};
  pthread_t thread_{};
};

}  // namespace hard
