#include "test/emulator/differential/harness.h"

#include <Zydis/Zydis.h>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

#include "test/emulator/host.h"

extern "C" {
extern selfheal::u64 guest_state[];
extern selfheal::u8 guest_xsave_area[];
extern selfheal::u64 guest_saved_sp;
void guest_run_snippet();
void guest_done();
}

namespace selfheal::differential {
namespace {

using emulator::Stop;
namespace host = emulator::host;

constexpr u64 code_base = data_base - (512U << 20);
constexpr u64 code_size = 256U << 20;
constexpr u64 guest_stack_gap = 8192;

alignas(64) u8 vectors[4096];
FaultSeen* native_fault = nullptr;
u64 native_code = 0;
u64 stack_pointer = 0;  // the guest's at the start of a snippet: from the run before

void on_native_fault(int, siginfo_t* info, void* context) {
  auto& c = *static_cast<ucontext_t*>(context);
  auto& g = c.uc_mcontext.gregs;
  if (native_fault == nullptr || native_fault->any) {
    std::fprintf(stderr, "fault outside a snippet: signal %d rip %llx\n", info->si_signo,
                 static_cast<unsigned long long>(g[REG_RIP]));
    std::_Exit(3);
  }
  native_fault->any = true;
  native_fault->trap = static_cast<u8>(g[REG_TRAPNO]);
  const bool page_fault = g[REG_TRAPNO] == 14;
  native_fault->address = page_fault ? address_of(info->si_addr) : 0;
  native_fault->write = page_fault && (g[REG_ERR] & 2) != 0;
  native_fault->rip = static_cast<u64>(g[REG_RIP]) - native_code;
  g[REG_RIP] = static_cast<greg_t>(reinterpret_cast<u64>(&guest_done));
}

emulator::CodeKind snippet_kind(u64 address) {
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

void load(const State& start, std::span<const u8> data) {
  std::memcpy(guest_state, &start, 17 * 8);
  guest_state[17] = native_code;
  std::memcpy(guest_xsave_area, start.vectors, vector_bytes);
  std::memcpy(pointer_to<void>(data_base), data.data(), data_size);
  if (stack_pointer != 0) {  // what lies below the caller's frame, and may be read as an operand
    std::memset(pointer_to<void>(stack_pointer - 2048), 0x11, guest_stack_gap);
  }
}

// Nothing of what a snippet leaves in the control registers may reach the harness.
void reset_floating_point() {
  const u32 mxcsr = 0x1f80;
  asm volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

bool is_compare_string(u64 rip) {
  const u8* code = pointer_to<const u8>(rip);
  while (*code == 0xf2 || *code == 0xf3 || *code == 0x66 || (*code & 0xf0) == 0x40 ||
         *code == 0x2e || *code == 0x3e || *code == 0x26 || *code == 0x36 || *code == 0x65) {
    ++code;
  }
  return (*code & 0xfe) == 0xa6;
}

// The one place snippets are called from, so that the stack is as deep both ways.
[[gnu::noinline]] void enter(void (*f)()) {
  f();
  asm volatile("");
}

}  // namespace

Harness::Harness() : place_(code_base) {
  host::start();
  host::set_code_kind(snippet_kind);
  host::on_native_fault = on_native_fault;
  map(data_base - page_size, data_size + 2 * page_size, PROT_NONE);
  mprotect(pointer_to<void>(data_base), data_size, PROT_READ | PROT_WRITE);
  map(code_base, code_size, PROT_READ | PROT_WRITE | PROT_EXEC);
}

const char* Harness::last_reason() const {
  return host::session.outcome.reason;
}

void Harness::put(std::span<const u8> code) {
  if (place_ + code.size() + 32 > code_base + code_size) {
    std::fprintf(stderr, "no room for more snippets\n");
    std::_Exit(3);
  }
  current_ = place_;
  u8* p = pointer_to<u8>(place_);
  std::memcpy(p, code.data(), code.size());
  const u8 jump[6] = {0xff, 0x25, 0, 0, 0, 0};  // jmp *0(%rip)
  std::memcpy(p + code.size(), jump, sizeof jump);
  const u64 target = reinterpret_cast<u64>(&guest_done);
  std::memcpy(p + code.size() + sizeof jump, &target, sizeof target);
  place_ += (code.size() + sizeof jump + sizeof target + 15) & ~u64{15};
  native_code = current_;
}

void Harness::prepare_engine(const State& start, std::span<const u8> data, Result& r) {
  load(start, data);
  auto& s = host::session;
  s.after_fault = host::AfterFault::roll_back_and_return;
  s.roll_back_always = true;
  s.vectors = address_of(vectors);
  s.snapshots[0] = {address_of(guest_state), address_of(&r.state), 17 * 8};
  s.snapshots[1] = {address_of(guest_xsave_area), address_of(r.state.vectors), vector_bytes};
  s.snapshots[2] = {data_base, address_of(r.data.data()), data_size};
  s.snapshots[3] = {stack_pointer - 64, address_of(r.stack.data()),
                    stack_pointer == 0 ? 0 : r.stack.size()};
  s.target = reinterpret_cast<u64>(&guest_run_snippet);
}

bool Harness::collect_engine(const State& start, std::span<const u8> data, Result& r,
                             std::string& report) {
  const auto& s = host::session;
  if (s.outcome.stop == Stop::unsupported) {
    return false;
  }
  if (s.outcome.stop == Stop::fault) {
    std::memcpy(r.state.gpr, s.fault.registers.gpr, sizeof r.state.gpr);
    r.state.rflags = s.fault.registers.rflags;
    std::memcpy(r.state.vectors, vectors, sizeof vectors);
    r.fault.any = true;
    r.fault.early = s.fault.kind == FaultKind::null_access && s.fault.signal == 0;
    r.fault.two_operands = is_compare_string(s.fault.registers.rip);
    const bool memory = s.fault.kind == FaultKind::null_access && s.fault.signal == 0;
    r.fault.trap = s.fault.signal != 0                         ? s.fault.trap
                   : memory                                    ? 14
                   : s.fault.kind == FaultKind::divide         ? 0
                   : s.fault.kind == FaultKind::exec_violation ? 14
                                                               : 6;
    r.fault.address = r.fault.trap == 14 ? s.fault.address : 0;
    r.fault.write = r.fault.trap == 14 && s.fault.access == Access::write;
    r.fault.rip = s.fault.registers.rip - current_;
  } else if (s.outcome.stop != Stop::returned) {
    report +=
        "  the engine stopped with " + std::to_string(static_cast<int>(s.outcome.stop)) + "\n";
  }
  if (std::memcmp(pointer_to<void>(data_base), data.data(), data_size) != 0 ||
      std::memcmp(guest_state, &start, 17 * 8) != 0 || s.undone.failed != 0) {
    report += "  rollback did not restore memory\n";
  }
  return true;
}

void Harness::collect_native(Result& r) {
  native_fault = nullptr;
  std::memcpy(&r.state, guest_state, 17 * 8);
  std::memcpy(r.state.vectors, guest_xsave_area, vector_bytes);
  std::memcpy(r.data.data(), pointer_to<void>(data_base), data_size);
  if (stack_pointer != 0) {
    std::memcpy(r.stack.data(), pointer_to<void>(stack_pointer - 64), r.stack.size());
  }
}

Verdict Harness::compare(std::span<const u8> code, const State& start, std::span<const u8> data,
                         std::string& report) {
  static Result native;
  static Result engine;
  native.fault = engine.fault = {};
  put(code);
  prepare_engine(start, data, engine);
  enter(&host::selfheal_test_entry);
  reset_floating_point();
  if (!collect_engine(start, data, engine, report)) {
    return Verdict::unsupported;
  }
  load(start, data);
  native_fault = &native.fault;
  enter(&guest_run_snippet);
  reset_floating_point();
  collect_native(native);
  stack_pointer = guest_saved_sp - guest_stack_gap;
  report += differences(native, engine);
  if (report.empty()) {
    return Verdict::equal;
  }
  report = disassemble(code, current_) + report;
  return Verdict::different;
}

std::string disassemble(std::span<const u8> code, u64 at) {
  std::string out;
  for (u64 offset = 0; offset < code.size();) {
    ZydisDisassembledInstruction in;
    char text[64];
    if (!ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, at + offset,
                                            code.data() + offset, code.size() - offset, &in))) {
      return out + "  ??\n";
    }
    out += "  ";
    for (unsigned i = 0; i < in.info.length; ++i) {
      std::snprintf(text, sizeof text, "%02x ", code[offset + i]);
      out += text;
    }
    out += "  ";
    out += in.text;
    out += "\n";
    offset += in.info.length;
  }
  return out;
}

}  // namespace selfheal::differential
