#include "test/emulator/rollback/check.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <vector>

#include "test/emulator/host.h"
#include "test/emulator/rollback/generator.h"
#include "test/emulator/rollback/layout.h"

extern "C" {
extern selfheal::u64 rollback_caller_sp;
extern selfheal::u8 rollback_vectors[4096];
extern void (*rollback_look)(selfheal::u64 after);
void rollback_run(selfheal::u64 target, const selfheal::u64* start, selfheal::u64* end);
void rollback_run_ended();
}

namespace selfheal::rollback {
namespace {

using emulator::Stop;
namespace host = emulator::host;

// One page with the bomb's counter and the mask at its end, then the data; behind it a page that
// cannot be touched and one that can only be read.
constexpr u64 control_size = page_size;
constexpr u64 memory_base = u64{0x6000'0000'0000};
constexpr u64 memory_size = control_size + DATA_SIZE;
constexpr u64 data_base = memory_base + control_size;
constexpr u64 code_base = u64{0x6001'0000'0000};
constexpr u64 code_size = u64{64} << 20;
constexpr u64 stack_size = STACK_BELOW + FRAME_BUFFER;  // above: saved registers of no program

struct Registers6 {
  u64 rbx, rbp, r12, r13, r14, r15, rax;
};

// What is compared at the moment of the fault, or of the return.
struct Moment {
  bool faulted;
  u64 registers[16];
  u64 rip;
  u64 trap;
  u64 address;
  std::vector<u8> memory = std::vector<u8>(memory_size);
  std::vector<u8> stack = std::vector<u8>(stack_size);
};

Moment native;
Moment engine;
std::vector<u8> frame_before(FRAME_SIZE);
std::vector<u8> frame_after(FRAME_SIZE);
bool expecting_fault = false;

u64 stack_base() {
  return rollback_caller_sp - STACK_BELOW;
}

void look(u64 after) {
  std::vector<u8>& to = after != 0 ? frame_after : frame_before;
  std::memcpy(to.data(), pointer_to<void>(rollback_caller_sp), FRAME_SIZE);
}

void copy_memory(Moment& moment) {
  std::memcpy(moment.memory.data(), pointer_to<void>(memory_base), memory_size);
  std::memcpy(moment.stack.data(), pointer_to<void>(stack_base()), stack_size);
}

u64 enabled_components() {
  u32 low;
  u32 high;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low & 0xe7;
}

constexpr int greg_order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

void on_native_fault(int signal, siginfo_t* info, void* context) {
  auto& g = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (!expecting_fault) {
    std::fprintf(stderr, "fault outside a program: signal %d rip %llx\n", signal,
                 static_cast<unsigned long long>(g[REG_RIP]));
    std::_Exit(3);
  }
  expecting_fault = false;
  native.faulted = true;
  for (unsigned i = 0; i < 16; ++i) {
    native.registers[i] = static_cast<u64>(g[greg_order[i]]);
  }
  native.rip = static_cast<u64>(g[REG_RIP]);
  native.trap = static_cast<u64>(g[REG_TRAPNO]);
  native.address = native.trap == 14 ? address_of(info->si_addr) : 0;
  copy_memory(native);
  g[REG_RIP] = static_cast<greg_t>(reinterpret_cast<u64>(&rollback_run_ended));
}

// An XSAVE area in the standard format (SDM vol. 1, 13.4): legacy part, header, the rest.
void fill_vectors(Random& random) {
  for (u64 i = 0; i < sizeof rollback_vectors; i += 8) {
    const u64 value = random.next();
    std::memcpy(rollback_vectors + i, &value, 8);
  }
  std::memset(rollback_vectors, 0, 160);
  const u16 x87_control = 0x37f;
  std::memcpy(rollback_vectors, &x87_control, 2);
  const u32 mxcsr = 0x1f80;
  std::memcpy(rollback_vectors + 24, &mxcsr, 4);
  std::memset(rollback_vectors + 512, 0, 64);
  rollback_vectors[512] = static_cast<u8>(enabled_components());
}

void fill(const Run& run) {
  Random random(run.seed);
  auto* words = pointer_to<u64>(memory_base);
  for (u64 i = 0; i < memory_size / 8; ++i) {
    words[i] = random.next();
  }
  auto* data = pointer_to<u64>(data_base);
  data[-1] = run.bomb;
  data[-2] = run.locality;
  fill_vectors(random);
}

emulator::CodeKind code_kind(u64 address) {
  return address - code_base < code_size ? emulator::CodeKind::stable : emulator::CodeKind::none;
}

void map(u64 at, u64 size, int protection) {
  void* got = mmap(pointer_to<void>(at), size, protection,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
  if (address_of(got) != at) {
    std::perror("mmap");
    std::_Exit(3);
  }
}

// One place, so that the stack is as deep every time.
[[gnu::noinline]] void run_program(u64 target, const Registers6& start, Registers6& end) {
  rollback_run(target, &start.rbx, &end.rbx);
  asm volatile("");
}

void collect_engine_fault() {
  const Fault& fault = host::session.fault;
  for (unsigned i = 0; i < 16; ++i) {
    engine.registers[i] = fault.registers.gpr[i];
  }
  engine.rip = fault.registers.rip;
  const bool early = fault.signal == 0;
  engine.trap = !early                                    ? fault.trap
                : fault.kind == FaultKind::null_access    ? 14
                : fault.kind == FaultKind::exec_violation ? 14
                : fault.kind == FaultKind::divide         ? 0
                                                          : 6;
  engine.address = engine.trap == 14 ? fault.address : 0;
}

void report_bytes(std::string& text, const char* what, std::span<const u8> wanted,
                  std::span<const u8> got, u64 base) {
  unsigned shown = 0;
  for (u64 i = 0; i < wanted.size() && shown < 8; ++i) {
    if (wanted[i] != got[i]) {
      char line[128];
      std::snprintf(line, sizeof line, "  %s: at %#llx (+%#llx) %02x, not %02x\n", what,
                    static_cast<unsigned long long>(base + i), static_cast<unsigned long long>(i),
                    got[i], wanted[i]);
      text += line;
      ++shown;
    }
  }
}

void report_word(std::string& text, const char* what, u64 wanted, u64 got) {
  if (wanted != got) {
    char line[128];
    std::snprintf(line, sizeof line, "  %s: %#llx, not %#llx\n", what,
                  static_cast<unsigned long long>(got), static_cast<unsigned long long>(wanted));
    text += line;
  }
}

constexpr const char* stop_names[] = {"returned",    "left",     "fault", "return mismatch",
                                      "unsupported", "log full", "budget"};

// The processor's memory and registers against the engine's, before the rollback.
void compare_moments(std::string& text) {
  const Stop stop = host::session.outcome.stop;
  if (stop != (native.faulted ? Stop::fault : Stop::returned)) {
    const char* reason = host::session.outcome.reason;
    text += std::string("  the engine stopped with: ") + stop_names[static_cast<u8>(stop)] + ", " +
            (reason != nullptr ? reason : "no reason") + "\n";
    report_word(text, "rip", native.rip, host::session.guest.rip);
    report_word(text, "rsp", native.registers[4], host::session.guest.gpr[rsp]);
    return;
  }
  report_bytes(text, "data at the end", native.memory, engine.memory, memory_base);
  u64 frames = rollback_caller_sp;
  if (native.faulted) {
    static constexpr const char* names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                              "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                              "r12", "r13", "r14", "r15"};
    for (unsigned i = 0; i < 16; ++i) {
      report_word(text, names[i], native.registers[i], engine.registers[i]);
    }
    report_word(text, "rip", native.rip, engine.rip);
    report_word(text, "trap", native.trap, engine.trap);
    report_word(text, "address", native.address, engine.address);
    // The region's frames, too, where its stack pointer tells them. The engine's stub has written
    // two words below the return address; a frame covers them.
    const u64 sp = native.registers[4];
    if (sp > stack_base() + 128 && sp + 160 < rollback_caller_sp) {
      frames = sp - 128;
    }
  }
  const u64 skipped = frames - stack_base();
  report_bytes(text, "stack at the end", std::span(native.stack).subspan(skipped),
               std::span(engine.stack).subspan(skipped), frames);
}

}  // namespace

Checker::Checker() : next_place_(code_base) {
  host::start();
  host::set_code_kind(code_kind);
  host::on_native_fault = on_native_fault;
  rollback_look = look;
  map(memory_base, memory_size, PROT_READ | PROT_WRITE);
  map(memory_base + memory_size, page_size, PROT_NONE);
  map(memory_base + memory_size + page_size, page_size, PROT_READ);
  map(memory_base + memory_size + 2 * page_size, page_size, PROT_NONE);
  map(code_base, code_size, PROT_READ | PROT_WRITE | PROT_EXEC);
}

u64 Checker::place(std::span<const u8> code) {
  if (next_place_ + code.size() > code_base + code_size) {
    std::fprintf(stderr, "no room for more programs\n");
    std::_Exit(3);
  }
  const u64 at = next_place_;
  std::memcpy(pointer_to<void>(at), code.data(), code.size());
  next_place_ += (code.size() + 63) & ~u64{63};
  return at;
}

Report Checker::check(u64 program, const Run& run) {
  const Registers6 start{0x11, 0x22, 0x33, 0, run.seed * 3 + 1, data_base, 0};
  Registers6 end{};
  Report report{};

  fill(run);
  native.faulted = false;
  expecting_fault = true;
  run_program(program, start, end);
  expecting_fault = false;
  if (!native.faulted) {
    copy_memory(native);
  }
  report.faulted = native.faulted;
  report.ticks = run.bomb - pointer_to<u64>(data_base)[-1];

  fill(run);
  std::vector<u8> before(pointer_to<u8>(memory_base), pointer_to<u8>(memory_base) + memory_size);
  auto& session = host::session;
  session.target = program;
  session.after_fault = host::AfterFault::roll_back_and_return;
  session.roll_back_always = true;
  session.virtual_value = 0x4242;
  session.snapshots[0] = {memory_base, address_of(engine.memory.data()), memory_size};
  session.snapshots[1] = {stack_base(), address_of(engine.stack.data()), stack_size};
  run_program(reinterpret_cast<u64>(&host::selfheal_test_entry), start, end);
  engine.faulted = session.outcome.stop == Stop::fault;
  if (engine.faulted) {
    collect_engine_fault();
  }
  // A block that ends (at a page's end) while rsp is on another stack ends the activation there.
  report.left =
      session.outcome.stop == Stop::left && session.guest.gpr[rsp] < memory_base + memory_size;
  if (!report.left) {
    compare_moments(report.text);
  }

  const u8* now = pointer_to<u8>(memory_base);
  report_bytes(report.text, "data after the rollback", before, std::span(now, memory_size),
               memory_base);
  report_bytes(report.text, "the caller's frame after the rollback", frame_before, frame_after,
               rollback_caller_sp);
  report_word(report.text, "rbx after the rollback", start.rbx, end.rbx);
  report_word(report.text, "rbp after the rollback", start.rbp, end.rbp);
  report_word(report.text, "r12 after the rollback", start.r12, end.r12);
  report_word(report.text, "r13 after the rollback", rollback_caller_sp, end.r13);
  report_word(report.text, "r14 after the rollback", start.r14, end.r14);
  report_word(report.text, "r15 after the rollback", start.r15, end.r15);
  report_word(report.text, "rax after the rollback", 0x4242, end.rax);
  report_word(report.text, "what could not be undone", 0, session.undone.failed);
  report.bytes_undone = session.undone.bytes;
  return report;
}

}  // namespace selfheal::rollback
