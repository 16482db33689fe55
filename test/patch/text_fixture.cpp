#include "test/patch/text_fixture.h"

#include <atomic>

namespace selfheal::patch::test {
namespace {

// As lib/runtime has it: a thread that nobody has told anything runs natively.
__attribute__((tls_model("initial-exec"))) thread_local void (*enter_target)() =
    selfheal_enter_native;

const Patcher* trap_patcher = nullptr;
std::atomic<u64> trap_hits{0};

void on_trap(int, siginfo_t*, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const u64 target = trap_patcher->trap_target(static_cast<u64>(registers[REG_RIP]));
  if (target == 0) {
    abort();
  }
  trap_hits.fetch_add(1, std::memory_order_relaxed);
  registers[REG_RIP] = static_cast<greg_t>(target);
}

}  // namespace

i32 enter_target_offset() {
  u64 thread_pointer;
  asm("mov %%fs:0, %0" : "=r"(thread_pointer));
  return static_cast<i32>(address_of(&enter_target) - thread_pointer);
}

void set_enter_target(u64 target) {
  enter_target = reinterpret_cast<void (*)()>(target);
}

TrapHandler::TrapHandler(const Patcher& patcher) {
  trap_patcher = &patcher;
  struct sigaction action = {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigaction(SIGTRAP, &action, &before_);
}

TrapHandler::~TrapHandler() {
  sigaction(SIGTRAP, &before_, nullptr);
}

u64 TrapHandler::hits() {
  return trap_hits.load();
}

}  // namespace selfheal::patch::test
