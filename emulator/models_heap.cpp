// The heap. Its metadata belongs to all threads and is never undone by value: allocations are given
// back at rollback, releases are held back until commit.
//
//   malloc ─► p    rollback: free(p)           the chunk's bytes go back first, they are newer
//   free(p)        commit:   free(p)           until then p stays valid: a rollback brings its
//                                              pointers back, wherever it was allocated
//   realloc(p)     = malloc + copy + free(p)   never in place beyond what p has anyway
//
// Because a held-back chunk cannot be handed out again, freeing it a second time is always a double
// free. We then go native: the commit frees it once, the guest's own call a second time, and the
// allocator says what it would have said, at the place where it would have.
#include "emulator/heap_view.h"
#include "emulator/models_internal.h"

namespace selfheal::emulator {

namespace {

// A chunk the allocation probe knows, or a pointer that it knows to be none. `pass`: go on as if it
// knew nothing.
HeapView::Release judge(Thread& thread, u64 pointer) {
  if (heap_view.size == 0) {
    return HeapView::Release::pass;
  }
  return heap_view.judge(pointer, *pointer_to<const u64>(thread.guest.gpr[rsp]));
}

u64 native(Thread& thread, u64 function, u64 a, u64 b = 0, u64 c = 0) {
  const NativeScope scope(&thread);
  return call_at(function, a, b, c);
}

// The compensation of an allocation; prepare() has made sure that it fits.
EffectResult allocated(Thread& thread, u64 pointer) {
  if (pointer != 0 && !thread.log.action(Action::free_memory, pointer)) {
    native(thread, native_functions.free, pointer);
    return EffectResult::log_full;
  }
  return returns(thread, pointer);
}

// malloc_usable_size, which reads the chunk's header: false when that faults.
bool size_of_chunk(Thread& thread, u64 pointer, u64& size) {
  struct Query {
    u64 pointer;
    u64 size;
  } query{pointer, 0};
  if (native_functions.malloc_usable_size == 0) {
    size = 0;
    return true;
  }
  const bool completed = guarded_call(
      thread,
      [](void* argument) {
        auto& asked = *static_cast<Query*>(argument);
        asked.size = call_at(native_functions.malloc_usable_size, asked.pointer);
      },
      &query);
  size = query.size;
  return completed;
}

// Holds free(pointer) back. `done`, or why not.
EffectResult release(Thread& thread, u64 pointer) {
  if (pointer % heap_alignment != 0 || thread.log.deferred(Deferred::free_memory, pointer)) {
    return EffectResult::unsupported;
  }
  u64 size = 0;
  if (!size_of_chunk(thread, pointer, size)) {
    return EffectResult::interpret;  // it will fault in free() again, as guest code
  }
  if (thread.log.held_bytes() + size > max_held_bytes ||
      !thread.log.defer(Deferred::free_memory, pointer, size)) {
    return EffectResult::log_full;
  }
  return EffectResult::done;
}

EffectResult resize(Thread& thread, u64 pointer, u64 size) {
  u64 old_size = 0;
  if (pointer % heap_alignment != 0 || thread.log.deferred(Deferred::free_memory, pointer)) {
    return EffectResult::unsupported;
  }
  if (!size_of_chunk(thread, pointer, old_size)) {
    return EffectResult::interpret;
  }
  if (size <= old_size && size >= old_size / 2) {
    return returns(thread, pointer);
  }
  if (!prepare(thread) || thread.log.held_bytes() + old_size > max_held_bytes) {
    return EffectResult::log_full;
  }
  // The old chunk is not reused before commit, so a buffer that grows in small steps would cost the
  // sum of all its sizes: grow by half instead.
  // Where bounds are checked they have to be the true ones.
  const u64 generous = size > old_size && heap_view.size == 0 ? size + old_size / 2 : size;
  u64 chunk = generous >= size ? native(thread, native_functions.malloc, generous) : 0;
  if (chunk == 0) {
    chunk = native(thread, native_functions.malloc, size);
  }
  if (chunk == 0) {
    return returns(thread, 0);  // the old chunk stays, errno is malloc's
  }
  native(thread, native_functions.memcpy, chunk, pointer, size < old_size ? size : old_size);
  if (!thread.log.action(Action::free_memory, chunk)) {
    native(thread, native_functions.free, chunk);
    return EffectResult::log_full;
  }
  if (!thread.log.defer(Deferred::free_memory, pointer, old_size)) {
    thread.log.cancel(Action::free_memory, chunk);
    native(thread, native_functions.free, chunk);
    return EffectResult::log_full;
  }
  return returns(thread, chunk);
}

EffectResult reallocate(Thread& thread, u64 pointer, u64 size) {
  if (pointer == 0) {
    return prepare(thread) ? allocated(thread, native(thread, native_functions.malloc, size))
                           : EffectResult::log_full;
  }
  if (judge(thread, pointer) != HeapView::Release::pass) {
    return EffectResult::unsupported;
  }
  if (size == 0) {  // glibc, and jemalloc on Linux: free
    const EffectResult result = release(thread, pointer);
    return result == EffectResult::done ? returns(thread, 0) : result;
  }
  return resize(thread, pointer, size);
}

}  // namespace

EffectResult model_allocate(Thread& thread) {
  if (!prepare(thread)) {
    return EffectResult::log_full;
  }
  return allocated(thread, native(thread, thread.guest.rip, argument(thread, 0),
                                  argument(thread, 1), argument(thread, 2)));
}

EffectResult model_posix_memalign(Thread& thread) {
  const u64 result = argument(thread, 0);
  if (!prepare(thread)) {
    return EffectResult::log_full;
  }
  if (!keep_result(thread, result, sizeof(u64))) {
    return EffectResult::unsupported;
  }
  const u64 error =
      native(thread, thread.guest.rip, result, argument(thread, 1), argument(thread, 2));
  if (static_cast<u32>(error) != 0) {
    return returns_int(thread, error);
  }
  const u64 pointer = *pointer_to<const u64>(result);
  const EffectResult logged = allocated(thread, pointer);
  return logged == EffectResult::done ? returns_int(thread, 0) : logged;
}

EffectResult model_realloc(Thread& thread) {
  return reallocate(thread, argument(thread, 0), argument(thread, 1));
}

EffectResult model_reallocarray(Thread& thread) {
  u64 size = 0;
  if (__builtin_mul_overflow(argument(thread, 1), argument(thread, 2), &size)) {
    return EffectResult::interpret;  // sets errno, touches no heap
  }
  return reallocate(thread, argument(thread, 0), size);
}

// jemalloc's, without its flags: alignment, zeroing and arena need the allocator itself.
EffectResult model_rallocx(Thread& thread) {
  if (argument(thread, 2) != 0 || argument(thread, 0) == 0 || argument(thread, 1) == 0) {
    return EffectResult::unsupported;
  }
  return resize(thread, argument(thread, 0), argument(thread, 1));
}

// "Resize in place if possible": it never is, in a region.
EffectResult model_xallocx(Thread& thread) {
  u64 size = 0;
  return size_of_chunk(thread, argument(thread, 0), size) ? returns(thread, size)
                                                          : EffectResult::interpret;
}

EffectResult model_free(Thread& thread) {
  const u64 pointer = argument(thread, 0);
  if (pointer == 0) {
    return EffectResult::done;
  }
  switch (judge(thread, pointer)) {
    case HeapView::Release::pass:
      return release(thread, pointer);
    case HeapView::Release::ignore:
      return EffectResult::done;
    case HeapView::Release::refuse:
      break;
  }
  return EffectResult::unsupported;
}

// The allocator's operators: failing, they throw, and that has to be the guest's own throw.
EffectResult model_operator_new(Thread& thread) {
  if (!prepare(thread)) {
    return EffectResult::log_full;
  }
  const u64 size = argument(thread, 0);
  const u64 pointer = native(thread, native_functions.malloc, size != 0 ? size : 1);
  return pointer != 0 ? allocated(thread, pointer) : EffectResult::unsupported;
}

EffectResult model_operator_new_aligned(Thread& thread) {
  if (!prepare(thread) || native_functions.aligned_alloc == 0) {
    return native_functions.aligned_alloc == 0 ? EffectResult::unsupported : EffectResult::log_full;
  }
  const u64 alignment = argument(thread, 1);
  const u64 size = (argument(thread, 0) + alignment - 1) & ~(alignment - 1);
  const u64 pointer = native(thread, native_functions.aligned_alloc, alignment, size);
  return pointer != 0 ? allocated(thread, pointer) : EffectResult::unsupported;
}

EffectResult model_heap_service(Thread& thread) {
  return returns(thread,
                 native(thread, thread.guest.rip, argument(thread, 0), argument(thread, 1)));
}

// The result goes to memory of the caller, whose address is the hidden first argument; 80 bytes for
// mallinfo2, 40 for mallinfo.
EffectResult model_mallinfo(Thread& thread) {
  const u64 result = argument(thread, 0);
  constexpr u64 largest = 10 * sizeof(u64);
  if (!keep_result(thread, result, largest)) {
    return EffectResult::unsupported;
  }
  return returns(thread, native(thread, thread.guest.rip, result));
}

}  // namespace selfheal::emulator
