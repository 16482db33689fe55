#include "test/emulator/differential/native_side.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/time.h>

#include "test/emulator/host.h"

extern "C" {
void differential_run_native(selfheal::differential::State*);
void differential_native_done();
}

namespace selfheal::differential {
namespace {

FaultSeen* native_fault = nullptr;

bool has_no_end = false;

void stop_running(ucontext_t& c) {
  c.uc_mcontext.gregs[REG_RIP] =
      static_cast<greg_t>(reinterpret_cast<u64>(&differential_native_done));
  constexpr greg_t trap_flag = 0x100;
  c.uc_mcontext.gregs[REG_EFL] &= ~trap_flag;
  // A far transfer may have led into 32-bit code: cs in the lowest 16 bits, ss in the highest.
  constexpr u64 own_cs = 0x33;
  constexpr u64 own_ss = 0x2b;
  const u64 others = static_cast<u64>(c.uc_mcontext.gregs[REG_CSGSFS]) & 0xffff'ffff'0000;
  c.uc_mcontext.gregs[REG_CSGSFS] = static_cast<greg_t>(others | own_cs | own_ss << 48);
}

// The engine counts instructions, the processor time.
void on_time_out(int, siginfo_t*, void* context) {
  if (native_fault != nullptr) {
    has_no_end = true;
    stop_running(*static_cast<ucontext_t*>(context));
  }
}

class TimeLimit {
 public:
  TimeLimit() {
    has_no_end = false;
    set(20'000);
  }
  ~TimeLimit() { set(0); }
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

 private:
  static void set(suseconds_t microseconds) {
    const itimerval limit{{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_VIRTUAL, &limit, nullptr);
  }
};

void on_native_fault(int, siginfo_t* info, void* context) {
  auto& c = *static_cast<ucontext_t*>(context);
  auto& g = c.uc_mcontext.gregs;
  if (native_fault == nullptr || native_fault->any) {
    std::fprintf(stderr, "fault outside a snippet: signal %d rip %llx address %p\n", info->si_signo,
                 static_cast<unsigned long long>(g[REG_RIP]), info->si_addr);
    std::_Exit(3);
  }
  const bool data = info->si_signo == SIGSEGV || info->si_signo == SIGBUS;
  *native_fault = {true,
                   static_cast<u8>(g[REG_TRAPNO]),
                   info->si_code,
                   data ? address_of(info->si_addr) : 0,
                   static_cast<u64>(g[REG_ERR]),
                   static_cast<u64>(g[REG_RIP])};
  stop_running(c);
}

}  // namespace

void start_native_side() {
  emulator::host::on_native_fault = on_native_fault;
  struct sigaction action {};
  sigaction(SIGSEGV, nullptr, &action);
  sigaction(SIGTRAP, &action, nullptr);
  action.sa_sigaction = on_time_out;
  sigaction(SIGVTALRM, &action, nullptr);
}

void run_native(Result& r) {
  native_fault = &r.fault;
  differential_run_native(&r.state);
  native_fault = nullptr;
  r.state.rip = r.fault.any ? r.fault.rip : exit_address;
}

bool run_native_for_a_while(Result& r) {
  const TimeLimit limit;
  run_native(r);
  return !has_no_end;
}

}  // namespace selfheal::differential
