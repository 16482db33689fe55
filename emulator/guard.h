// Surviving a fault of the engine's own access to guest memory, and calling libc without harm.
//
//   guarded_call(thread, f, x)
//     thread.escape := "return false from here"    f(x) reads or writes guest memory
//     thread.state  := running                     └─ page fault ► signal handler ► take_fault:
//     f(x)                                                context := thread.escape
//     old escape and state back                    ◄── resumes in guarded_call: false
//
// It relies on take_fault (engine.h) doing just this: when the thread's state is `running`, fill
// thread.fault, set thread.escaped, and put the registers of thread.escape into the context.
// `f` must leave nothing behind that a jump out of it would break: no lock, no object with a
// destructor. It may call libc's mem* and str*.
#pragma once

#include "emulator/thread.h"

namespace selfheal::emulator {

// True: f(argument) returned. False: it faulted half way.
bool guarded_call(Thread& thread, void (*f)(void*), void* argument);

// Calls libc code for ourselves while the guest's vector, mask and x87 registers are live: keeps
// them all. Not needed for a call the guest made: there the calling convention gives them away.
// About 150 ns: only where something has to be done, never on the way in or out of an idle region.
class VectorScope {
 public:
  VectorScope();
  ~VectorScope();
  VectorScope(const VectorScope&) = delete;
  VectorScope& operator=(const VectorScope&) = delete;

 private:
  // XSAVE, standard format: legacy area, header, AVX, opmask, zmm (Intel SDM vol. 1, 13.4). The
  // components above (AMX tiles, PKRU) are not touched by any libc.
  static constexpr u64 area_size = 2816;
  alignas(64) u8 area_[area_size];
};

// While it lives, a fault is not the guest's: for calls that must not be cut in two (malloc's
// lock). Does nothing without a thread. `busy` instead of `native` says that the call is not one
// the guest is just making, so that no signal handler may see the guest now.
class NativeScope {
 public:
  explicit NativeScope(Thread* thread, ThreadState state = ThreadState::native) : thread_(thread) {
    if (thread_ != nullptr) {
      before_ = thread_->state;
      thread_->state = state;
    }
  }
  ~NativeScope() {
    if (thread_ != nullptr) {
      thread_->state = before_;
    }
  }
  NativeScope(const NativeScope&) = delete;
  NativeScope& operator=(const NativeScope&) = delete;

 private:
  Thread* thread_;
  ThreadState before_{};
};

// A call of a C function by address.
inline u64 call_at(u64 function, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0, u64 e = 0, u64 f = 0) {
  return pointer_to<u64(u64, u64, u64, u64, u64, u64)>(function)(a, b, c, d, e, f);
}

// The same on the guest's own stack, for functions that may need more of it than the engine has
// (constructors run by dlopen).
u64 call_on_guest_stack(const Thread& thread, u64 function, u64 a, u64 b, u64 c, u64 d, u64 e,
                        u64 f);

}  // namespace selfheal::emulator
