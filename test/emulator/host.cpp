#include "test/emulator/host.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <link.h>

extern "C" {
extern char __executable_start;
extern char etext;
void selfheal_test_run();
void selfheal_test_on_signal(int, siginfo_t*, void*);
void selfheal_test_handle(int, siginfo_t*, void*);
selfheal::u64 selfheal_test_enter_address = 0;
}

// A signal handler inherits AC from what it interrupts; ours is compiled code, which is not careful
// about alignment.
asm(R"(
  .text
  .type selfheal_test_on_signal, @function
selfheal_test_on_signal:
  pushfq
  andl $~0x40000, (%rsp)
  popfq
  jmp selfheal_test_handle
  .globl selfheal_test_entry
  .type selfheal_test_entry, @function
selfheal_test_entry:
  push $7
  jmp *selfheal_test_enter_address(%rip)
)");

namespace selfheal::emulator::host {
namespace {

void no_patches(u64, u8*, u64) {}

// Executable segments of loaded modules; the list is small and this is a test.
CodeKind in_modules(u64 address) {
  struct Query {
    u64 address;
    bool found;
  } query{address, false};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& q = *static_cast<Query*>(data);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& p = info->dlpi_phdr[i];
          if (p.p_type == PT_LOAD && (p.p_flags & PF_X) != 0 &&
              q.address - (info->dlpi_addr + p.p_vaddr) < p.p_memsz) {
            q.found = true;
          }
        }
        return 0;
      },
      &query);
  return query.found ? CodeKind::stable : CodeKind::none;
}

CodeKind (*kind_override)(u64) = nullptr;

CodeKind code_kind(u64 address) {
  const CodeKind kind = kind_override != nullptr ? kind_override(address) : CodeKind::none;
  return kind != CodeKind::none ? kind : in_modules(address);
}

}  // namespace

void (*on_native_fault)(int, siginfo_t*, void*) = nullptr;

extern "C" void selfheal_test_handle(int signal, siginfo_t* info, void* context) {
  if (take_fault(signal, *info, *static_cast<ucontext_t*>(context))) {
    return;
  }
  if (on_native_fault != nullptr) {
    on_native_fault(signal, info, context);
    return;
  }
  const auto& c = *static_cast<ucontext_t*>(context);
  std::fprintf(stderr, "unexpected signal %d, address %p, rip %llx\n", signal, info->si_addr,
               static_cast<unsigned long long>(c.uc_mcontext.gregs[REG_RIP]));
  std::_Exit(3);
}

void set_code_kind(CodeKind (*kind)(u64)) {
  kind_override = kind;
}

void start(u64 budget) {
  if (started()) {
    return;
  }
  Config config{};
  config.restore_originals = no_patches;
  config.code_kind = code_kind;
  config.native_text = [](u64 address) {
    return address >= address_of(&__executable_start) && address < address_of(&etext);
  };
  config.is_text = [](u64 address) { return code_kind(address) == CodeKind::stable; };
  config.code_size = 256U << 20;
  config.block_memory = 512U << 20;
  config.instruction_budget = budget;
  config.run = selfheal_test_run;
  const char* why = "";
  if (!emulator::start(config, why) || !attach_thread(64U << 20)) {
    std::fprintf(stderr, "the engine does not start: %s\n", why);
    std::_Exit(3);
  }
  selfheal_test_enter_address = enter_trampoline();
  static u8 alternate[256 * 1024];
  stack_t stack{};
  stack.ss_sp = alternate;
  stack.ss_size = sizeof alternate;
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = selfheal_test_on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    sigaction(signal, &action, nullptr);
  }
}

}  // namespace selfheal::emulator::host
