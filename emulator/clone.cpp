#include "emulator/clone.h"

#include <linux/sched.h>

#include "emulator/actions.h"
#include "emulator/copy_bytes.h"
#include "emulator/generated_code.h"
#include "emulator/guard.h"
#include "emulator/guest_syscall.h"
#include "emulator/machine.h"
#include "lib/base/raw_syscall.h"

extern "C" long selfheal_guest_vfork(const selfheal::u64* registers, selfheal::u64 leave);
extern "C" long selfheal_guest_clone(const selfheal::u64* registers, const selfheal::u64* kept,
                                     selfheal::u64 flags);

namespace selfheal::emulator {
namespace {

constexpr u64 trap_flag = 1U << 8;

// One call, whichever of the four it is.
struct Request {
  u64 flags = 0;
  u64 stack = 0;       // the child's first rsp; 0: the parent's
  u64 parent_tid = 0;  // where the kernel tells the parent the child's id
  u64 pidfd = 0;       // and the child's descriptor
  // clone3's own argument, in our memory so that it can be changed. A kernel newer than we are may
  // know more of it.
  clone_args arguments{};
  u64 room_for_more[5]{};
  u64 registers[7]{};  // rax rdi rsi rdx r10 r8 r9

  bool has(u64 flag) const { return (flags & flag) != 0; }
  bool is_clone3() const { return registers[0] == SYS_clone3; }

  void set_stack(u64 top) {
    if (!is_clone3()) {
      registers[2] = top;
    } else if (top == 0) {
      arguments.stack = arguments.stack_size = 0;
    } else {
      arguments.stack_size = top - arguments.stack;
    }
  }
};

struct Copy {
  u64 to;
  u64 from;
  u64 size;
};

// Copies from or to memory of the guest's. False: it cannot be touched.
bool copy_guest(Thread& t, Copy copy) {
  return guarded_call(
      t,
      [](void* argument) {
        const Copy& c = *static_cast<const Copy*>(argument);
        copy_bytes(c.to, c.from, c.size);
      },
      &copy);
}

// Keeps a word that the kernel will write, if it can. False: the log is full.
bool keep_word(Thread& t, u64 address) {
  struct Word {
    UndoLog& log;
    u64 address;
    bool kept;
  } word{t.log, address, address == 0};
  const bool readable = address == 0 || guarded_call(
                                            t,
                                            [](void* argument) {
                                              auto& w = *static_cast<Word*>(argument);
                                              w.kept = w.log.save_value<u32>(w.address);
                                            },
                                            &word);
  return word.kept || !readable;
}

bool read_clone3(Thread& t, Request& r) {
  const u64 size = r.registers[2];
  if (size < CLONE_ARGS_SIZE_VER0 || size > sizeof r.arguments + sizeof r.room_for_more ||
      !copy_guest(t, {address_of(&r.arguments), r.registers[1], size})) {
    return false;
  }
  r.registers[1] = address_of(&r.arguments);
  r.flags = r.arguments.flags;
  r.stack = r.arguments.stack != 0 ? r.arguments.stack + r.arguments.stack_size : 0;
  r.parent_tid = r.has(CLONE_PARENT_SETTID) ? r.arguments.parent_tid : 0;
  r.pidfd = r.has(CLONE_PIDFD) ? r.arguments.pidfd : 0;
  return true;
}

// False: the kernel may have an answer to this, we have none.
bool read_request(Thread& t, Request& r) {
  const auto& g = t.guest.gpr;
  const u64 number = static_cast<u32>(g[rax]);
  const u64 registers[7] = {number, g[rdi], g[rsi], g[rdx], g[r10], g[r8], g[r9]};
  for (unsigned i = 0; i < 7; ++i) {
    r.registers[i] = registers[i];
  }
  switch (number) {
    case SYS_fork:
      return true;
    case SYS_vfork:
      r.flags = CLONE_VM | CLONE_VFORK;
      return true;
    case SYS_clone:
      r.flags = g[rdi];
      r.stack = g[rsi];
      r.parent_tid = r.has(CLONE_PARENT_SETTID) ? g[rdx] : 0;
      r.pidfd = r.has(CLONE_PIDFD) ? g[rdx] : 0;
      return true;
    default:
      return read_clone3(t, r);
  }
}

EffectResult made(Thread& t, const Request& r, long result) {
  t.guest.gpr[rax] = static_cast<u64>(result);
  if (syscall_failed(result)) {
    return EffectResult::done;
  }
  t.log.note_irrevocable(static_cast<u32>(r.registers[0]));
  u32 descriptor = 0;
  if (r.pidfd != 0 && result != 0 && copy_guest(t, {address_of(&descriptor), r.pidfd, 4})) {
    static_cast<void>(t.log.action(Action::close_fd, descriptor));  // clone_guest asked for room
  }
  return EffectResult::done;
}

EffectResult fork_guest(Thread& t, Request& r) {
  r.set_stack(0);  // the child goes on here, on its copy of the engine's stack
  long result;
  {
    const NativeScope busy(&t, ThreadState::busy);
    result = selfheal_guest_syscall(r.registers, &t.signal_waits);
  }
  if (result == not_performed) {
    return EffectResult::interrupted;
  }
  if (result == 0) {
    after_fork();
    if (r.stack != 0) {
      t.guest.gpr[rsp] = r.stack;
      note_stack(t);
    }
  }
  return made(t, r, result);
}

EffectResult vfork_guest(Thread& t, const Request& r, u64 next_rip) {
  auto& g = t.guest.gpr;
  const u64 number = g[rax];
  const u64 rip = t.guest.rip;
  g[rax] = 0;
  t.guest.rip = next_rip;
  long result;
  {
    const NativeScope child_runs(&t, ThreadState::suspended);
    result = selfheal_guest_vfork(r.registers, trampolines().leave);
  }
  g[rax] = number;
  t.guest.rip = rip;
  return made(t, r, result);
}

EffectResult start_guest_thread(Thread& t, Request& r, u64 next_rip) {
  const auto& g = t.guest.gpr;
  const u64 first[3] = {g[rsi], g[rdi], next_rip};
  const u64 top = r.stack - sizeof first;
  if (!copy_guest(t, {top, address_of(first), sizeof first})) {
    return EffectResult::unsupported;
  }
  r.set_stack(top);
  const u64 kept[6] = {g[rbx], g[rbp], g[r12], g[r13], g[r14], g[r15]};
  long result;
  {
    const NativeScope child_runs(&t, ThreadState::suspended);
    result = selfheal_guest_clone(r.registers, kept, t.guest.rflags & ~trap_flag);
  }
  if (result > 0 && !r.has(CLONE_VFORK)) {
    t.log.give_away(r.stack - 1, r.stack);  // what it was mapped with, too
  }
  return made(t, r, result);
}

}  // namespace

bool is_clone(const Thread& t) {
  switch (static_cast<u32>(t.guest.gpr[rax])) {
    case SYS_fork:
    case SYS_vfork:
    case SYS_clone:
    case SYS_clone3:
      return true;
    default:
      return false;
  }
}

EffectResult clone_guest(Thread& t, u64 next_rip) {
  Request r;
  if (!read_request(t, r)) {
    return EffectResult::unsupported;
  }
  if (!keep_word(t, r.parent_tid) || !keep_word(t, r.pidfd) || !t.log.room()) {
    return EffectResult::log_full;
  }
  if (t.signal_waits) {
    return EffectResult::interrupted;
  }
  t.log.run_deferred();  // once: descriptors may be shared, and the child has the same list
  if (!r.has(CLONE_VM)) {
    return r.has(CLONE_SETTLS) ? EffectResult::unsupported : fork_guest(t, r);
  }
  t.guest.gpr[rcx] = next_rip;
  t.guest.gpr[r11] = t.guest.rflags;
  if (r.stack == 0) {
    return r.has(CLONE_VFORK) && !r.has(CLONE_SETTLS) ? vfork_guest(t, r, next_rip)
                                                      : EffectResult::unsupported;
  }
  return r.has(CLONE_SETTLS) || r.has(CLONE_VFORK) ? start_guest_thread(t, r, next_rip)
                                                   : EffectResult::unsupported;
}

}  // namespace selfheal::emulator
