// A thread's memory, one mapping, made by its parent:
//
//      ┌───────┬──────────────────────────────┬─────────────────────────────────────────────┐
//      │ guard │ alternate stack, 64 KiB      │ Start, then the runtime's area (thread_area) │
//      └───────┴──────────────────────────────┴─────────────────────────────────────────────┘
//        4 KiB                                   4 KiB
//
// A thread's end is seen by a thread-specific key: its destructor runs for return, pthread_exit and
// cancellation alike, after C++ thread_locals; it puts itself off to the last round, so that the
// application's destructors still run protected. Mappings of ended threads are kept for new ones.
#include "probes/threads.h"

#include <atomic>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <threads.h>

#include "probes/kernel.h"
#include "probes/next.h"
#include "probes/pending.h"
#include "probes/thread_stack.h"
#include "probes/thread_state.h"

extern "C" int __register_atfork(void (*)(), void (*)(), void (*)(), void*);
extern "C" void* __libc_stack_end;
extern "C" __attribute__((visibility("hidden"))) void* __dso_handle;

namespace selfheal::probes {
namespace {

constexpr u64 guard_size = page_size;
constexpr u64 mapping_size = guard_size + alternate_stack_size + page_size;

struct Start {
  void* (*function)(void*);
  void* argument;
  u64 blocked;       // what the thread is to believe
  StackRange stack;  // that the program brought itself
  u64 stack_size;    // else: of the one libc makes
};

static_assert(sizeof(Start) <= page_size - thread_area_size);

constexpr unsigned kept_mappings = 32;
constinit std::atomic<u64> kept[kept_mappings]{};
constinit pthread_key_t end_key = 0;
constinit u64 default_stack_size = 8 << 20;
constinit StackRange first_stack = {0, 0};

u64 map_stack() {
  for (auto& slot : kept) {
    if (slot.load(std::memory_order_relaxed) != 0) {
      if (const u64 mapping = slot.exchange(0, std::memory_order_acquire)) {
        return mapping;
      }
    }
  }
  const long mapping =
      raw_syscall(SYS_mmap, 0, mapping_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, static_cast<u64>(-1), 0);
  if (syscall_failed(mapping)) {
    return 0;
  }
  raw_syscall(SYS_mprotect, static_cast<u64>(mapping), guard_size, PROT_NONE);
  return static_cast<u64>(mapping);
}

void keep_stack(u64 mapping) {
  for (auto& slot : kept) {
    u64 empty = 0;
    if (slot.compare_exchange_strong(empty, mapping, std::memory_order_release)) {
      return;
    }
  }
  raw_syscall(SYS_munmap, mapping, mapping_size);
}

Start* start_of(u64 mapping) {
  return pointer_to<Start>(mapping + guard_size + alternate_stack_size);
}

void adopt_stack(u64 mapping) {
  Thread& thread = this_thread();
  thread.own_stack = mapping + guard_size;
  set_kernel_stack(own_stack_of(thread));
}

void release_stack() {
  Thread& thread = this_thread();
  if (thread.own_stack == 0) {
    return;
  }
  const u64 mapping = thread.own_stack - guard_size;
  set_kernel_stack({nullptr, SS_DISABLE, 0});
  thread.own_stack = 0;
  forget_pending();
  keep_stack(mapping);
}

// The value counts the destructor's rounds.
void at_thread_end(void* value) {
  const u64 round = address_of(value);
  if (round < PTHREAD_DESTRUCTOR_ITERATIONS &&
      pthread_setspecific(end_key, pointer_to<void>(round + 1)) == 0) {
    return;
  }
  if (hooks().thread_ending != nullptr) {
    hooks().thread_ending();
  }
  release_stack();
}

void begin_thread(const Start& start, u64 mapping) {
  Thread& thread = this_thread();
  // glibc puts a thread's control block at the top of the stack's last page (nptl/allocatestack.c).
  // A stack taken from its cache may be larger than what was asked for; that is what is counted on.
  const u64 high = page_up(address_of(__builtin_thread_pointer()) + 1);
  thread.stack =
      start.stack.known() ? start.stack : StackRange{high - page_down(start.stack_size), high};
  thread.blocked = start.blocked;
  unblock_in_kernel(urgent_signals());
  adopt_stack(mapping);
  __builtin_memset(thread_area(), 0, thread_area_size);
  pthread_setspecific(end_key, pointer_to<void>(1));
  if (hooks().thread_started != nullptr) {
    hooks().thread_started();
  }
}

void* thread_main(void* argument) {
  const Start start = *static_cast<Start*>(argument);
  begin_thread(start, address_of(argument) - guard_size - alternate_stack_size);
  return start.function(start.argument);
}

u64 stack_size_of(const pthread_attr_t* attributes) {
  size_t size = 0;
  if (attributes == nullptr || pthread_attr_getstacksize(attributes, &size) != 0) {
    return default_stack_size;
  }
  return size;
}

StackRange stack_of(const pthread_attr_t* attributes) {
  void* low = nullptr;
  size_t size = 0;
  if (attributes == nullptr || pthread_attr_getstack(attributes, &low, &size) != 0 ||
      address_of(low) + size == 0) {  // none was set
    return {0, 0};
  }
  return {address_of(low), address_of(low) + size};
}

// A new thread inherits its parent's mask, unless its attributes have one.
u64 blocked_of(const pthread_attr_t* attributes) {
  sigset_t set;
  if (attributes != nullptr && pthread_attr_getsigmask_np(attributes, &set) == 0) {
    return mask_word(set) & urgent_signals();
  }
  return this_thread().blocked;
}

void in_fork_child() {
  Thread& thread = this_thread();
  thread.vfork_depth = 0;
  forget_pending_of_parent();
  if (hooks().fork_child != nullptr) {
    hooks().fork_child();
  }
}

// The kernel puts the name of the executed file at the very end of the stack, behind it one empty
// word (fs/exec.c, bprm_mm_init). The limit counts from there.
StackRange first_thread_stack() {
  rlimit limit{};
  raw_syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, address_of(&limit));
  const auto* name = pointer_to<const char>(getauxval(AT_EXECFN));
  const u64 end = page_up(name != nullptr ? address_of(name) + strlen(name) + 1 + sizeof(u64)
                                          : address_of(__libc_stack_end));
  const u64 size = limit.rlim_cur < end / 2 ? page_down(limit.rlim_cur) : end / 2;
  return {end - size, end};
}

}  // namespace

ThreadStack thread_stack() {
  const Thread& thread = this_thread();
  return {thread.stack.low, thread.stack.high,
          thread.own_stack == 0 ? 0 : thread.own_stack + alternate_stack_size,
          thread.stack.high == first_stack.high};
}

void* thread_area() {
  const Thread& thread = this_thread();
  return thread.own_stack == 0 ? nullptr
                               : pointer_to<void>(thread.own_stack + alternate_stack_size +
                                                  page_size - thread_area_size);
}

bool prepare_threads() {
  const u64 mapping = map_stack();
  if (mapping == 0 || pthread_key_create(&end_key, at_thread_end) != 0) {
    return false;
  }
  pthread_attr_t attributes;
  size_t size = 0;
  if (pthread_getattr_default_np(&attributes) == 0) {
    if (pthread_attr_getstacksize(&attributes, &size) == 0) {
      default_stack_size = size;
    }
    pthread_attr_destroy(&attributes);
  }
  Thread& thread = this_thread();
  thread.stack = first_thread_stack();
  first_stack = thread.stack;
  thread.application_stack.ss_flags = 0;  // so after exec; a new thread has SS_DISABLE
  adopt_stack(mapping);
  __register_atfork(nullptr, nullptr, in_fork_child, __dso_handle);
  return true;
}

SELFHEAL_INTERPOSE(int, pthread_create, pthread_t* thread, const pthread_attr_t* attributes,
                   void* (*function)(void*), void* argument) {
  const u64 mapping = handled_signals() != 0 ? map_stack() : 0;
  if (mapping == 0) {
    return selfheal_next_pthread_create(thread, attributes, function, argument);
  }
  Start* start = start_of(mapping);
  *start = {function, argument, blocked_of(attributes), stack_of(attributes),
            stack_size_of(attributes)};
  const int error = selfheal_next_pthread_create(thread, attributes, thread_main, start);
  if (error != 0) {
    keep_stack(mapping);
  }
  return error;
}

// libc's own goes to pthread_create behind our back.
SELFHEAL_INTERPOSE(int, thrd_create, thrd_t* thread, thrd_start_t function, void* argument) {
  // An int comes back in eax, a pointer in rax: thrd_join takes the low half of either.
  switch (interposed_pthread_create(
      thread, nullptr, pointer_to<void*(void*)>(address_of_function(function)), argument)) {
    case 0:
      return thrd_success;
    case ENOMEM:
      return thrd_nomem;
    default:
      return thrd_error;
  }
}

}  // namespace selfheal::probes
