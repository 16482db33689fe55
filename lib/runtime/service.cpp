#include "lib/runtime/service.h"

#include "lib/image/module.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

struct Snapshot {
  Registers registers;
  Activation stack[160];
  unsigned count;
};

void walk(void* argument) {
  Snapshot& snapshot = *static_cast<Snapshot*>(argument);
  snapshot.count = walk_activations(snapshot.registers, snapshot.stack);
}

// What an unwinder needs: the callee-saved registers.
[[gnu::always_inline]] inline void registers_here(Registers& r) {
  asm volatile(
      "leaq 0(%%rip), %%rax\n\t"
      "movq %%rax, %0\n\t"
      "movq %%rsp, %1\n\tmovq %%rbp, %2\n\tmovq %%rbx, %3\n\t"
      "movq %%r12, %4\n\tmovq %%r13, %5\n\tmovq %%r14, %6\n\tmovq %%r15, %7"
      : "=m"(r.rip), "=m"(r.gpr[rsp]), "=m"(r.gpr[rbp]), "=m"(r.gpr[rbx]), "=m"(r.gpr[r12]),
        "=m"(r.gpr[r13]), "=m"(r.gpr[r14]), "=m"(r.gpr[r15])
      :
      : "rax");
}

// Our own frames on top, those of the blocking call's wrapper, are not the application's.
std::span<Activation> without_ours(Snapshot& snapshot) {
  image::Module own;
  if (!image::locate_module(address_of_function(&walk), own)) {
    return {};
  }
  unsigned first = 0;
  u64 rip = snapshot.registers.rip;
  while (first < snapshot.count && rip - own.start < own.end - own.start) {
    rip = snapshot.stack[first++].return_address;
  }
  return {snapshot.stack + first, snapshot.count - first};
}

}  // namespace

void Service::add(std::span<Activation> stack) {
  if (stack.size() > depth) {
    stack = stack.last(depth);
  }
  if (snapshots_ == 0) {
    forming_count_ = static_cast<u32>(stack.size());
    __builtin_memcpy(forming_, stack.data(), stack.size_bytes());
  } else {
    forming_count_ = keep_common({forming_, forming_count_}, stack);
  }
  if (++snapshots_ == in_a_row) {
    count_ = forming_count_;
    __builtin_memcpy(service_, forming_, sizeof forming_);
    snapshots_ = 0;
  }
}

[[gnu::noinline]] bool Service::look(u64 calls) {
  if (calls >= next_) {
    Snapshot snapshot;
    snapshot.registers = {};
    snapshot.count = 0;
    registers_here(snapshot.registers);
    if (probes::guarded(&walk, &snapshot)) {
      add(without_ours(snapshot));
    }
    step_ = step_ > last_step ? step_ : step_ * 2;
    next_ = step_ > last_step ? ~u64{0} : calls + step_ / 2;
  }
  return next_ == ~u64{0};
}

bool Service::holds(const Activation& activation) const {
  const Activation* list = count_ != 0 ? service_ : forming_;
  const u32 count = count_ != 0 ? count_ : forming_count_;
  for (u32 i = 0; i < count; ++i) {
    if (list[i] == activation) {
      return true;
    }
  }
  return false;
}

}  // namespace selfheal::runtime
