#include "lib/runtime/service.h"

#include <iterator>

#include "lib/image/module.h"
#include "lib/runtime/stack_looks.h"

namespace selfheal::runtime {
namespace {

constexpr u32 gaps[] = {1, 1, 2, 3, 5, 8, 13, 21};

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
std::span<const Activation> without_ours(u64 rip, std::span<const Activation> stack) {
  image::Module own;
  if (!image::locate_module(address_of_function(&registers_here), own)) {
    return {};
  }
  while (!stack.empty() && rip - own.start < own.end - own.start) {
    rip = stack.front().return_address;
    stack = stack.subspan(1);
  }
  return stack;
}

}  // namespace

void Service::add(std::span<const Activation> stack) {
  forming_.look(stack.size() > depth ? stack.last(depth) : stack);
}

void Service::end_series(u64 calls) {
  service_ = forming_;
  forming_.forget();
  next_ = never;
  if (++finished_ == 1) {
    begin_series(calls + gaps[std::size(gaps) - 1]);
  }
}

[[gnu::noinline]] bool Service::look(u64 calls) {
  if (calls >= next_) {
    Registers here{};
    Activation room[160];
    registers_here(here);
    if (const std::span<const Activation> stack = look_at_stack(here, room); !stack.empty()) {
      add(without_ours(here.rip, stack));
    }
    if (taken_ < std::size(gaps)) {
      next_ = calls + gaps[taken_++];
    } else {
      end_series(calls);
    }
  }
  return next_ == never;
}

}  // namespace selfheal::runtime
