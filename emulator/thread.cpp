#include "emulator/thread.h"

#include <sys/mman.h>

#include "emulator/interpreter.h"
#include "emulator/machine.h"
#include "emulator/vector_state.h"
#include "lib/base/raw_syscall.h"

namespace selfheal::emulator {

thread_local constinit Thread this_thread{};

i32 thread_offset() {
  u64 pointer;
  asm("mov %%fs:0, %0" : "=r"(pointer));
  return static_cast<i32>(address_of(&this_thread) - pointer);
}

//   memory ──► guard page │ engine stack │ Machine │ vector area │ signal area │ undo log │
bool attach_thread(u64 log_size) {
  constexpr u64 stack_size = 256 * 1024;
  Thread& t = this_thread;
  const u64 vectors = vector_area_size();
  if (t.state != ThreadState::absent || !started() || vectors == 0) {
    return t.state == ThreadState::idle;
  }
  const u64 scratch = page_up(64 + sizeof(Machine) + vectors + 64 + config().signal_area_size);
  const u64 size = page_size + stack_size + scratch + page_up(log_size);
  const long at = raw_syscall(SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ~u64{0}, 0);
  if (syscall_failed(at)) {
    return false;
  }
  t.memory = static_cast<u64>(at);
  t.memory_size = size;
  raw_syscall(SYS_mprotect, t.memory, page_size, PROT_NONE);
  t.stack_top = t.memory + page_size + stack_size;
  t.scratch = pointer_to<void>(t.stack_top);
  machine_of(t).vector_area = (t.stack_top + sizeof(Machine) + 63) & ~u64{63};
  t.signal_area = (machine_of(t).vector_area + vectors + 63) & ~u64{63};
  t.run = address_of_function(config().run);
  t.resume = address_of_function(config().resume);
  t.deliver = address_of_function(config().deliver);
  t.log.attach(t.stack_top + scratch, page_up(log_size), &t);
  t.state = ThreadState::idle;
  return true;
}

void detach_thread() {
  Thread& t = this_thread;
  if (t.state == ThreadState::idle) {
    const u64 memory = t.memory;
    const u64 size = t.memory_size;
    forget_held_output(t);
    t = Thread{};
    raw_syscall(SYS_munmap, memory, size);
  }
}

}  // namespace selfheal::emulator
