#include "test/effects/effects_fixture.h"

#include <catch2/catch.hpp>
#include <new>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

namespace selfheal::emulator::test {

namespace {

thread_local Thread* current = nullptr;

void on_fault(int signal, siginfo_t*, void* context) {
  if (current == nullptr || current->state != ThreadState::running) {
    ::signal(signal, SIG_DFL);
    return;  // again, and this time it kills
  }
  auto& gregs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const Escape& escape = current->escape;
  gregs[REG_RBX] = static_cast<greg_t>(escape.rbx);
  gregs[REG_RBP] = static_cast<greg_t>(escape.rbp);
  gregs[REG_R12] = static_cast<greg_t>(escape.r12);
  gregs[REG_R13] = static_cast<greg_t>(escape.r13);
  gregs[REG_R14] = static_cast<greg_t>(escape.r14);
  gregs[REG_R15] = static_cast<greg_t>(escape.r15);
  gregs[REG_RSP] = static_cast<greg_t>(escape.rsp);
  gregs[REG_RIP] = static_cast<greg_t>(escape.rip);
  current->escaped = true;
}

u64 map_pages(u64 size, int protection) {
  void* memory =
      mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return address_of(memory);
}

}  // namespace

GuestThread::GuestThread(u64 log_size) : thread_(new Thread{}), log_size_(log_size) {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
  thread_->memory = map_pages(log_size, PROT_READ | PROT_WRITE);
  thread_->memory_size = log_size;
  thread_->log.attach(thread_->memory, log_size, thread_);
  thread_->state = ThreadState::running;
  current = thread_;
}

GuestThread::~GuestThread() {
  current = nullptr;
  forget_held_output(*thread_);
  munmap(pointer_to<void>(thread_->memory), log_size_);
  delete thread_;
}

Pages::Pages(u64 count, int protection)
    : address_(map_pages(count * page_size, protection)), size_(count * page_size) {}

Pages::~Pages() {
  munmap(pointer_to<void>(address_), size_);
}

u64 random_seed() {
  if (const char* fixed = getenv("SELFHEAL_SEED")) {
    return strtoull(fixed, nullptr, 0);
  }
  return std::random_device{}();
}

}  // namespace selfheal::emulator::test
