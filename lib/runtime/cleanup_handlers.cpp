#include "lib/runtime/cleanup_handlers.h"

#include <pthread.h>

#include "lib/base/mangled.h"
#include "lib/runtime/definitions.h"
#include "lib/runtime/protect.h"

extern "C" {
// Of libc's, for its own macros.
void __pthread_register_cancel(__pthread_unwind_buf_t*);
void __pthread_unregister_cancel(__pthread_unwind_buf_t*);
}

namespace selfheal::runtime {
namespace {

using Buffer = __pthread_unwind_buf_t;

Buffer* buffer_at(u64 address) {
  return static_cast<Buffer*>(__builtin_assume_aligned(pointer_to<void>(address), alignof(Buffer)));
}

constexpr unsigned descriptor_words = 256;  // 2 KiB: most of struct pthread

constinit u64 list_offset = 0;  // in the thread's descriptor; 0: not known
constinit u64 native_next = 0;
using Next = bool (*)(u64 buffer);
constinit Next next_of_ours = nullptr;

u64* descriptor() {
  return static_cast<u64*>(__builtin_thread_pointer());
}

// The one word of the descriptor that says where a buffer of ours is, once it is registered.
u64 find_list() {
  Buffer buffer{};
  u64 found = 0;
  __pthread_register_cancel(&buffer);
  for (unsigned i = 1; i < descriptor_words && found == 0; ++i) {
    found = descriptor()[i] == address_of(&buffer) ? i * sizeof(u64) : 0;
  }
  __pthread_unregister_cancel(&buffer);
  return found != 0 && descriptor()[found / sizeof(u64)] != address_of(&buffer) ? found : 0;
}

void on_next(u64 buffer) {
  if (!next_of_ours(buffer)) {
    reinterpret_cast<void (*)(u64)>(native_next)(buffer);
  }
}

}  // namespace

void watch_cleanup_handlers(Next next) {
  const u64 function = find_definition("__pthread_unwind_next");
  next_of_ours = next;
  if (function != 0 && divert(function, address_of_function(&on_next), native_next,
                              patch::Threads::one) == nullptr) {
    list_offset = find_list();
  }
}

u64 first_cleanup_buffer() {
  return list_offset == 0 ? 0 : descriptor()[list_offset / sizeof(u64)];
}

u64 cleanup_buffer_behind(u64 buffer) {
  return address_of(buffer_at(buffer)->__pad[0]);
}

Registers cleanup_target(u64 buffer) {
  const auto& saved = buffer_at(buffer)->__cancel_jmp_buf[0].__cancel_jmp_buf;
  const auto word = [&](unsigned i) { return static_cast<u64>(saved[i]); };
  Registers target{};
  target.gpr[rbx] = word(0);
  target.gpr[rbp] = demangled(word(1));
  target.gpr[r12] = word(2);
  target.gpr[r13] = word(3);
  target.gpr[r14] = word(4);
  target.gpr[r15] = word(5);
  target.gpr[rsp] = demangled(word(6));
  target.rip = demangled(word(7));
  return target;
}

void drop_cleanup_buffer(u64 buffer) {
  __pthread_unregister_cancel(buffer_at(buffer));
}

}  // namespace selfheal::runtime
