#include "test/emulator/differential/harness.h"

#include <algorithm>
#include <cstring>
#include <sched.h>
#include <sys/resource.h>

#include "emulator/thunk.h"
#include "test/emulator/differential/disassemble.h"
#include "test/emulator/differential/native_side.h"
#include "test/emulator/differential/segments.h"
#include "test/emulator/host.h"

namespace selfheal::differential {
namespace {

using emulator::Stop;
namespace host = emulator::host;

constexpr u64 budget = 20000;  // of instructions; snippets with loops may have no end

// Only the snippet at hand is code: what lies elsewhere will be another one's, or was.
u64 code_begin = 0;
u64 code_end = 0;

emulator::CodeKind snippet_kind(u64 address) {
  return address >= code_begin && address < code_end ? emulator::CodeKind::stable
                                                     : emulator::CodeKind::none;
}

void keep_on_this_processor() {  // rdpid, cpuid
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(sched_getcpu(), &set);
  sched_setaffinity(0, sizeof set, &set);
}

// The x87 unit's last instruction, in the guest's terms (emulator/x87_image.cpp): the register has
// the thunk's, which nothing but a native continuation gets to see.
void translate_x87_pointer(State& s) {
  u64 rip;
  std::memcpy(&rip, s.vectors + 8, 8);
  emulator::X87Instruction original;
  if (emulator::original_of(rip, original)) {
    u16 opcode;
    std::memcpy(&opcode, s.vectors + 6, 2);
    std::memcpy(s.vectors + 8, &original.rip, 8);
    if (opcode != 0) {
      std::memcpy(s.vectors + 6, &original.opcode, 2);
    }
  }
}

// XSAVE has lost these (see Harness::compare); what fnstenv told has their lower halves.
void restore_x87_pointers(State& s, const EngineRun& run) {
  u32 rip;
  u32 operand;
  u16 opcode;
  std::memcpy(&rip, run.x87_environment + 12, 4);
  std::memcpy(&opcode, run.x87_environment + 18, 2);
  std::memcpy(&operand, run.x87_environment + 20, 4);
  u64 seen;
  std::memcpy(&seen, s.vectors + 8, 8);
  if (seen != 0 || rip == 0) {
    return;
  }
  // All that snippets work with lies in these 4 GiB; but a thunk's is told by the engine.
  const auto whole = [](u32 low) { return low == 0 ? 0 : (data_base & ~u64{0xffff'ffff}) | low; };
  const u64 thunk = emulator::widen_x87_rip(rip);
  const u64 all = thunk != 0 ? thunk : whole(rip);
  const u64 operand_address = whole(operand);
  std::memcpy(s.vectors + 6, &opcode, 2);
  std::memcpy(s.vectors + 8, &all, 8);
  std::memcpy(s.vectors + 16, &operand_address, 8);
}

long context_switches() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

}  // namespace

void Harness::set_code(u64 at, u64 size) {
  code_begin = at;
  code_end = at + size + Arena::jump_size;
}

Harness::Harness() {
  keep_on_this_processor();
  host::start(budget);
  host::set_code_kind(snippet_kind);
  start_native_side();
}

void Harness::take_engine_fault(const EngineRun& run) {
  const Fault& f = run.fault;
  engine_.fault = {true, f.trap, f.code, f.address, f.error_code, f.registers.rip};
  constexpr u64 error_write = 2;
  constexpr u64 error_fetch = 16;
  const bool page = f.trap == 14;
  const Access access = !page                               ? f.access
                        : (f.error_code & error_fetch) != 0 ? Access::execute
                        : (f.error_code & error_write) != 0 ? Access::write
                                                            : Access::read;
  const FaultKind kind =
      page ? (f.address < null_page_end ? FaultKind::null_access : FaultKind::wild_access) : f.kind;
  if (f.access != access || f.kind != kind) {
    complaint_ += "  the fault's kind or access is wrong: " + std::string(name_of(f.kind)) + " " +
                  name_of(f.access) + "\n";
  }
}

// What the engine saw coming must come.
void Harness::check_foreseen(const Fault& f) {
  const FaultSeen& seen = engine_.fault;
  constexpr u64 error_write = 2;
  bool right = false;
  switch (f.kind) {
    case FaultKind::null_access:
      right = seen.trap == 14 && seen.address == f.address &&
              ((seen.error & error_write) != 0) == (f.access == Access::write);
      break;
    case FaultKind::divide:
      right = seen.trap == 0;
      break;
    case FaultKind::illegal_instruction:
      right = seen.trap == 6;
      break;
    case FaultKind::exec_violation:
      // At the target; at the branch itself, where that is no address at all.
      right = (seen.trap == 14 && seen.address == f.address && seen.rip == f.address) ||
              (seen.trap == 13 && f.address + (u64{1} << 47) >= u64{1} << 48);
      break;
    default:
      break;
  }
  if (!seen.any || !right) {
    complaint_ +=
        "  the engine foresaw a fault that did not come: " + std::string(name_of(f.kind)) + " " +
        name_of(f.access) + "\n";
  }
}

void Harness::go_on_natively(const EngineRun& run) {
  set_segments(segments_of(engine_.state));
  Arena::load(engine_.memory);
  restore_x87_pointers(engine_.state, run);
  translate_x87_pointer(engine_.state);
  has_no_end_ = !run_native_for_a_while(engine_);
  capture_segments(engine_.state);
  Arena::store(engine_.memory);
}

// Own frames, dead after the region's return, are not logged: those bytes are left out.
void Harness::check_rollback(const Snippet& snippet, const State& start, const Image& memory,
                             u64 stack_top) {
  static Image now;
  emulator::Thread& t = emulator::this_thread;
  const emulator::RollbackResult undone = t.log.rollback();
  if (Arena::equals(memory) && undone.failed == 0) {
    return;
  }
  Arena::store(now);
  constexpr u64 reach = 1024;
  const u64 lowest = std::min(start.gpr[rsp], engine_.state.gpr[rsp]);
  const u64 begin = snippet.moves_stack ? 0 : lowest - std::min(lowest, reach);
  // An atomic change of memory that dead frames have come to lie over cannot be undone, nor need
  // it.
  const bool frames_in_data =
      stack_top > low_data_base && begin < data_base + data_pages * page_size;
  u64 wrong = frames_in_data ? 0 : undone.failed;
  for (u64 i = 0; i < memory.size(); ++i) {
    const u64 at = Arena::address_of_byte(i);
    const bool dead =
        (at >= begin && at < stack_top) ||
        (at - data_base + low_data_base >= begin && at - data_base + low_data_base < stack_top);
    wrong += memory[i] != now[i] && !dead ? 1 : 0;
  }
  if (wrong != 0) {
    complaint_ += "  rollback left " + std::to_string(wrong) + " bytes wrong\n";
  }
}

// The processor itself loses the x87 unit's last instruction and operand when the kernel switches
// threads (AMD's XSAVE stores zeros there unless an exception is pending). So a difference counts
// if it is there in a run during which the thread was not switched.
Verdict Harness::compare(const Snippet& snippet, const State& start, const Image& memory) {
  Verdict verdict = compare_once(snippet, start, memory);
  for (unsigned tries = 0; verdict == Verdict::different && tries < 20; ++tries) {
    const long before = context_switches();
    verdict = compare_once(snippet, start, memory);
    if (context_switches() == before) {
      break;
    }
  }
  return verdict;
}

Verdict Harness::compare_once(const Snippet& snippet, const State& start, const Image& memory) {
  const SegmentState segments = SegmentState::read();
  set_code(snippet.at, snippet.code.size());
  complaint_.clear();
  native_.fault = engine_.fault = {};
  Arena::load(memory);
  engine_.state = start;
  engine_.state.rip = snippet.at;
  EngineRun run;
  run_in_engine(engine_.state, 8 + 8 * (start.gpr[rbx] & 63), run);
  instructions_ = run.instructions;
  capture_segments(engine_.state);
  Arena::store(engine_.memory);
  stopped_ = "  the engine stopped with " + std::to_string(static_cast<int>(run.stop)) +
             (run.reason != nullptr ? std::string(": ") + run.reason : "") + "\n";
  if (run.stop == Stop::fault && run.fault.signal != 0) {
    take_engine_fault(run);
  }
  check_rollback(snippet, start, memory, run.stack_top);
  if (SegmentState::read().gs_base != segments.gs_base) {
    complaint_ += "  rollback did not restore the GS base\n";
  }
  if (run.stop == Stop::budget) {
    return complaint_.empty() ? Verdict::endless : Verdict::different;
  }
  // The processor has nothing against a program that overwrites its return addresses. (Going on
  // from there would show the x87 pointers of the engine's thunks, which only it translates.)
  if (run.stop == Stop::fault && (run.fault.kind == FaultKind::stack_overwrite ||
                                  run.fault.kind == FaultKind::return_mismatch)) {
    declined_at_ = engine_.state.rip;
    reason_ = name_of(run.fault.kind);
    set_segments(segments);
    return complaint_.empty() ? Verdict::declined : Verdict::different;
  }
  const bool at_end = run.stop == Stop::unsupported && engine_.state.rip == exit_address;
  bool declined = false;
  if (!at_end && !engine_.fault.any) {
    declined = run.stop != Stop::fault;
    declined_at_ = engine_.state.rip;
    reason_ = run.reason != nullptr ? run.reason : "left the stack";
    go_on_natively(run);
    if (has_no_end_) {
      set_segments(segments);
      return Verdict::endless;
    }
    if (run.stop == Stop::fault) {
      check_foreseen(run.fault);
    }
  }
  translate_x87_pointer(engine_.state);
  set_segments(segments);
  Arena::load(memory);
  native_.state = start;
  native_.state.rip = snippet.at;
  run_native(native_);
  capture_segments(native_.state);
  set_segments(segments);
  Arena::store(native_.memory);
  if (!same(native_, engine_, snippet.ignored) || !complaint_.empty()) {
    return Verdict::different;
  }
  return declined ? Verdict::declined : Verdict::equal;
}

std::string Harness::report(const Snippet& snippet, const State& start, const Image& memory) const {
  return disassemble(snippet.code, snippet.at) + stopped_ + complaint_ +
         differences(native_, engine_) + side_by_side(start, memory, native_, engine_);
}

}  // namespace selfheal::differential
