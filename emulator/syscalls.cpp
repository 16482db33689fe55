#include "emulator/syscalls.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include "emulator/copy_bytes.h"
#include "emulator/models_internal.h"
#include "emulator/syscalls_internal.h"

namespace selfheal::emulator {

namespace {

// The vocabulary of the table.
constexpr bool waits = true;
constexpr bool stays = false;
constexpr Handler plain = nullptr;
constexpr Effect pure = Effect::pure;
constexpr Effect fills = Effect::fills;
constexpr Effect creates = Effect::creates;
constexpr Effect irrevocable = Effect::irrevocable;
constexpr Effect leave = Effect::leave;

constexpr Buffer fixed(u8 argument, u16 size) {
  return {Extent::fixed, argument, 0, size};
}
constexpr Buffer sized(u8 argument, u8 size) {
  return {Extent::sized, argument, size, 0};
}
constexpr Buffer counted(u8 argument, u8 count, u16 element) {
  return {Extent::counted, argument, count, element};
}
constexpr Buffer value_result(u8 argument, u8 length) {
  return {Extent::value_result, argument, length, 0};
}
constexpr Buffer io_vector(u8 argument, u8 count) {
  return {Extent::io_vector, argument, count, 0};
}
constexpr Buffer message(u8 argument) {
  return {Extent::message, argument, 0, 0};
}
constexpr Buffer messages(u8 argument, u8 count) {
  return {Extent::messages, argument, count, 0};
}
constexpr Buffer bits(u8 argument, u8 count) {
  return {Extent::bits, argument, count, 0};
}
constexpr Buffer pages(u8 argument, u8 size) {
  return {Extent::pages, argument, size, 0};
}

constexpr SyscallRow rows[] = {
#define SYSCALL(number, name, effect, blocking, handler, ...) \
  {number, #name, effect, blocking, handler, {__VA_ARGS__}},
#include "emulator/syscall_table.inc"
#undef SYSCALL
};

constexpr u32 numbers = 512;

struct Index {
  u16 row[numbers];  // 1 + index into rows; 0: none
};

constexpr Index index_of_rows() {
  Index index{};
  u16 row = 0;
  for (const SyscallRow& entry : rows) {
    index.row[entry.number] = ++row;
  }
  return index;
}

constexpr Index index_by_number = index_of_rows();

const SyscallRow* row_of(u64 number) {
  // The kernel looks at the low half of rax only.
  const u32 low = static_cast<u32>(number);
  const u16 row = low < numbers ? index_by_number.row[low] : u16{0};
  return row != 0 ? &rows[row - 1] : nullptr;
}

bool only_waits(u64 number) {
  switch (number) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
      return true;
    default:
      return false;
  }
}

}  // namespace

Call::Call(Thread& thread, const SyscallRow& row)
    : thread_(thread), row_(row), arguments_{thread.guest.gpr[rdi], thread.guest.gpr[rsi],
                                             thread.guest.gpr[rdx], thread.guest.gpr[r10],
                                             thread.guest.gpr[r8],  thread.guest.gpr[r9]} {}

bool Call::keep_fixed(u8 argument_index, u16 size) {
  const Buffer buffer = fixed(argument_index, size);
  return keep(&buffer, 1);
}

// A signal that comes before the kernel has begun, or that the kernel wants to be handled before it
// begins anew, makes the call not happen (guest_syscall.S); the guest is then at its instruction,
// to be restarted, with the result `interrupted` for whoever looks before run_syscall says so.
long Call::perform() {
  const u64 registers[7] = {row_.number,   arguments_[0], arguments_[1], arguments_[2],
                            arguments_[3], arguments_[4], arguments_[5]};
  const ThreadState state = thread_.state;
  thread_.state = ThreadState::busy;
  compiler_barrier();
  result_ = selfheal_guest_syscall(registers, &thread_.signal_waits);
  compiler_barrier();
  thread_.state = state;
  if (!interrupted()) {
    thread_.guest.gpr[rax] = static_cast<u64>(result_);
  }
  thread_.taken += took_something() ? 1 : 0;
  thread_.waited += only_waits(row_.number) ? 1 : 0;
  return result_;
}

// Not where only the descriptor was looked at, whose turn comes again.
bool Call::took_something() const {
  switch (row_.number) {
    case SYS_accept:
    case SYS_accept4:
      return result_ >= 0;
    case SYS_recvfrom:
      return result_ > 0 && (arguments_[3] & MSG_PEEK) == 0;
    case SYS_recvmsg:
      return result_ > 0 && (arguments_[2] & MSG_PEEK) == 0;
    case SYS_read:
    case SYS_readv:
    case SYS_recvmmsg:
    case SYS_msgrcv:
    case SYS_mq_timedreceive:
    case SYS_rt_sigtimedwait:
    case SYS_wait4:
      return result_ > 0;
    default:
      return false;
  }
}

EffectResult Call::irrevocable() {
  if (!failed()) {
    log().note_irrevocable(row_.number);
  }
  return EffectResult::done;
}

// run_syscall() has asked for room.
EffectResult Call::foresee_abort() {
  return foresee(thread_, FaultKind::abort, thread_.guest.rip);
}

EffectResult Call::created() {
  if (!failed()) {
    static_cast<void>(log().action(Action::close_fd, static_cast<u64>(result_)));
  }
  return EffectResult::done;
}

EffectResult Call::pretend(long result) {
  result_ = result;
  thread_.guest.gpr[rax] = static_cast<u64>(result);
  return EffectResult::done;
}

namespace {

EffectResult make_plainly(Call& call) {
  if (!call.keep_row_buffers() || !call.log().room()) {
    return EffectResult::log_full;
  }
  call.perform();
  switch (call.row().effect) {
    case Effect::creates:
      return call.created();
    case Effect::irrevocable:
      return call.irrevocable();
    default:
      return call.done();
  }
}

}  // namespace

EffectResult run_syscall(Thread& thread) {
  const SyscallRow* row = row_of(thread.guest.gpr[rax]);
  if (row == nullptr || row->effect == Effect::leave) {
    return EffectResult::unsupported;
  }
  if (!thread.log.room()) {
    return EffectResult::log_full;
  }
  Call call(thread, *row);
  u64 held = 0;
  if (hold_output(call, held)) {
    return call.pretend(static_cast<long>(held));
  }
  if (row->waits && thread.log.holds_back() && !is_about_a_file(call)) {
    thread.log.run_deferred();
  }
  const EffectResult result = row->handler != nullptr ? row->handler(call) : make_plainly(call);
  return call.interrupted() ? EffectResult::interrupted : result;
}

EffectResult run_vsyscall(Thread& thread) {
  constexpr u64 numbers_of[] = {SYS_gettimeofday, SYS_time, SYS_getcpu};
  Call call(thread, *row_of(numbers_of[(thread.guest.rip - vsyscall_page) / 0x400]));
  if (!call.keep_row_buffers()) {
    return EffectResult::log_full;
  }
  const auto made = [](void* argument) {
    auto& gpr = static_cast<Thread*>(argument)->guest.gpr;
    gpr[rax] = call_at(static_cast<Thread*>(argument)->guest.rip, gpr[rdi], gpr[rsi]);
  };
  return guarded_call(thread, made, &thread) ? EffectResult::done : EffectResult::unsupported;
}

bool may_wait(u64 number) {
  const SyscallRow* row = row_of(number);
  return row != nullptr && (row->waits || row->number == SYS_futex);
}

const char* syscall_name(u64 number) {
  const SyscallRow* row = row_of(number);
  return row != nullptr ? row->name : "unknown";
}

}  // namespace selfheal::emulator
