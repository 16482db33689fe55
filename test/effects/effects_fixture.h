// A thread with an undo log but without an interpreter, and the engine's half of taking a fault.
#pragma once

#include <cstdint>
#include <random>
#include <sys/mman.h>
#include <vector>

#include "emulator/actions.h"
#include "emulator/thread.h"

namespace selfheal::emulator::test {

// What the engine does in take_fault(): while the thread under test is `running`, a SIGSEGV or
// SIGBUS goes on at its escape. Faults in any other state kill the test, as they should.
class GuestThread {
 public:
  explicit GuestThread(u64 log_size = u64{16} << 20);
  ~GuestThread();
  GuestThread(const GuestThread&) = delete;
  GuestThread& operator=(const GuestThread&) = delete;

  Thread* operator->() { return thread_; }
  Thread& operator*() { return *thread_; }
  UndoLog& log() { return thread_->log; }

 private:
  Thread* thread_;
  u64 log_size_;
};

// Pages that go away with the scope.
class Pages {
 public:
  explicit Pages(u64 count, int protection = PROT_READ | PROT_WRITE);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  u8* data() { return pointer_to<u8>(address_); }
  u64 address() const { return address_; }
  u64 size() const { return size_; }
  std::vector<u8> copy() { return {data(), data() + size_}; }

 private:
  u64 address_;
  u64 size_;
};

// Different in every run; on a failure Catch prints it. SELFHEAL_SEED replays.
u64 random_seed();

// Fills native_functions and the table of models from this process's own libc, once.
void use_own_libc();

}  // namespace selfheal::emulator::test
