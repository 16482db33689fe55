#include "lib/patch/module_watch.h"

#include <atomic>
#include <cerrno>

#include "lib/base/code_memory.h"
#include "lib/patch/emitter.h"
#include "lib/patch/live_patch.h"
#include "lib/patch/loader.h"
#include "lib/patch/text_writer.h"

extern "C" {
void selfheal_on_debug_state();
void selfheal_modules_event();

// Where debug_state.S goes on: what the entry of r_brk was before.
selfheal::u64 selfheal_debug_state_native;
}

namespace selfheal::patch {
namespace {

// The function is one `ret`; the linker fills up to the next multiple of 16.
constexpr u64 code_alignment = 16;
constexpr u64 native_at = 32;  // behind the far jump of the cell

constinit const r_debug* debug = nullptr;
constinit ModuleHooks module_hooks{};
constinit CodeMemory memory;
constinit std::atomic<u64> changes{0};

// Every namespace (dlmopen) has a list and a state of its own; glibc 2.35 and later chain them.
bool any_in_state(int state) {
  const r_debug* list = debug;
  while (list != nullptr) {
    if (list->r_state == state) {
      return true;
    }
    list = list->r_version >= 2 ? &reinterpret_cast<const r_debug_extended*>(list)->r_next->base
                                : nullptr;
  }
  return false;
}

Function describe(u64 entry) {
  Function function;
  const u64 gap_end = (entry + code_alignment) & ~(code_alignment - 1);
  const u8* bytes = pointer_to<const u8>(entry);
  u64 size = 0;
  while (size < 8 && bytes[size] != 0xc3 && bytes[size] != 0xcc) {
    ++size;
  }
  function.code = {entry, bytes, size + 1};
  function.gap = static_cast<u32>(gap_end > entry + size + 1 ? gap_end - (entry + size + 1) : 0);
  return function;
}

}  // namespace

u64 module_changes() {
  return changes.load(std::memory_order_acquire);
}

Refusal watch_modules(const ModuleHooks& hooks) {
  debug = loader_debug();
  const u64 entry = debug->r_brk;
  if (entry == 0 || !memory.map(entry, page_size)) {
    return Refusal::no_code_memory;
  }
  const u64 cell = memory.allocate(page_size / 2);
  const Plan made = plan(describe(entry), cell, cell + native_at);
  if (made.how != How::jump || !made.single) {
    memory.unmap();
    return made.refusal == Refusal::none ? Refusal::too_short : made.refusal;
  }
  Emitter(memory.writable(cell), native_at, cell)
      .jump(address_of_function(&selfheal_on_debug_state));
  Emitter(memory.writable(cell + native_at), max_native_size, cell + native_at)
      .bytes(made.native, made.native_size);
  selfheal_debug_state_native = cell + native_at;
  module_hooks = hooks;
  // The tail replaces padding that nobody executes, the head is one byte: safe under other threads.
  if (write_text(made.at + 1, made.patched + 1, jump_size - 1) == Writer::none ||
      !ready_barrier() || write_text(made.at, made.patched, 1) == Writer::none) {
    memory.unmap();
    return Refusal::write_failed;
  }
  ready_barrier();
  return Refusal::none;
}

}  // namespace selfheal::patch

// Called by debug_state.S.
extern "C" void selfheal_modules_event() {
  using namespace selfheal::patch;
  const int saved = errno;
  if (any_in_state(r_debug::RT_DELETE)) {
    if (module_hooks.unloading != nullptr) {
      module_hooks.unloading();
    }
  } else if (!any_in_state(r_debug::RT_ADD)) {
    changes.fetch_add(1, std::memory_order_release);
    if (module_hooks.changed != nullptr) {
      module_hooks.changed();
    }
  }
  errno = saved;
}
