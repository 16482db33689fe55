#include "lib/runtime/fault_path.h"

#include <span>

#include "emulator/engine.h"
#include "lib/runtime/diagnosis.h"
#include "lib/runtime/eager.h"
#include "lib/runtime/fail_stop.h"
#include "lib/runtime/hang.h"
#include "lib/runtime/heal.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/sticking.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

using probes::SignalContext;
using probes::Verdict;

constinit thread_local Diagnosis* prepared = nullptr;

// The frames of the probe that saw the fault are not the program's: the walk begins at `site`.
void begin_at(u64 site, Diagnosis& diagnosis) {
  unsigned first = 0;
  while (first < diagnosis.frame_count && diagnosis.frames[first].registers.rip != site) {
    ++first;
  }
  if (first == diagnosis.frame_count) {
    diagnosis.frames[0].registers.rip = site;
    diagnosis.frame_count = 1;
    first = 0;
  }
  for (unsigned i = 0; i + first < diagnosis.frame_count; ++i) {
    diagnosis.frames[i] = diagnosis.frames[i + first];
  }
  diagnosis.frame_count -= first;
  diagnosis.frames[0].exact = false;
  diagnosis.fault.registers = diagnosis.frames[0].registers;
}

Registers registers_here() {
  Registers here{};
  asm volatile(
      "movq %%rbx, %0\n\tmovq %%rbp, %1\n\tmovq %%rsp, %2\n\t"
      "movq %%r12, %3\n\tmovq %%r13, %4\n\tmovq %%r14, %5\n\tmovq %%r15, %6\n\t"
      "leaq (%%rip), %%rax\n\tmovq %%rax, %7"
      : "=m"(here.gpr[rbx]), "=m"(here.gpr[rbp]), "=m"(here.gpr[rsp]), "=m"(here.gpr[r12]),
        "=m"(here.gpr[r13]), "=m"(here.gpr[r14]), "=m"(here.gpr[r15]), "=m"(here.rip)
      :
      : "rax", "memory");
  return here;
}

// Set while this thread aborts because of a fault that is in the journal already.
constinit thread_local bool abort_expected = false;

bool is_expected(const SignalContext& signal) {
  return abort_expected && signal.signal == SIGABRT;
}

}  // namespace

bool on_thread_fault(SignalContext& signal) {
  mcontext_t& machine = signal.context->uc_mcontext;
  if (signal.signal == SIGTRAP) {
    const u64 target = runtime.patcher.trap_target(static_cast<u64>(machine.gregs[REG_RIP]));
    if (target == 0) {
      return false;
    }
    machine.gregs[REG_RIP] = static_cast<greg_t>(target);
    return true;
  }
  if (!emulator::take_fault(signal.signal, *signal.info, *signal.context)) {
    return false;
  }
  stamp_fault();
  if (!probes::allowed(probes::Call::rt_sigreturn)) {
    emulator::resume_without_sigreturn(*signal.context);
  }
  return true;
}

void record_call_fault(const Fault& fault, u64 site, Witness witness) {
  Diagnosis* diagnosis = probes::in_vfork_child() ? nullptr : take_diagnosis();
  if (diagnosis == nullptr) {
    return;
  }
  diagnosis->fault = fault;
  diagnosis->fault.registers = registers_here();
  diagnosis->frames[0] = {diagnosis->fault.registers, 0xffff, true};
  diagnosis->frame_count = 1;
  if (witness == Witness::caller) {
    walk_from(*diagnosis);
  }
  begin_at(site, *diagnosis);
  diagnosis->story = {fault.kind, false, {}};
  diagnosis->stack = {};
  judge_stack(*diagnosis);
  finish(*diagnosis);
  give_back(*diagnosis);
}

void expect_abort() {
  abort_expected = true;
}

Verdict on_fault(const Fault& fault, SignalContext& signal) {
  if (is_expected(signal)) {
    return Verdict::die;
  }
  Diagnosis* diagnosis = probes::in_vfork_child() ? nullptr : take_diagnosis();
  if (diagnosis == nullptr) {
    return Verdict::die;
  }
  diagnose(*diagnosis, fault);
  finish(*diagnosis);
  const bool recovered = recover_eagerly(
      diagnosis->record, std::span(diagnosis->frames).first(diagnosis->frame_count), signal);
  if (!recovered) {
    heals_were_no_good();
  }
  give_back(*diagnosis);
  return recovered ? Verdict::resume : Verdict::die;
}

void* on_prepare(const Fault& fault, SignalContext& signal) {
  if (is_expected(signal)) {
    return nullptr;
  }
  if (prepared == nullptr && !probes::in_vfork_child()) {
    prepared = take_diagnosis();
  }
  if (prepared != nullptr) {
    diagnose(*prepared, fault);
  }
  return prepared;
}

void on_commit(void* token) {
  finish(*static_cast<Diagnosis*>(token));
  heals_were_no_good();
}

bool on_ends_anyway(void* token) {
  return static_cast<const Diagnosis*>(token)->story.certain;
}

void forget_prepared() {
  if (prepared != nullptr) {
    give_back(*prepared);
    prepared = nullptr;
  }
}

}  // namespace selfheal::runtime
