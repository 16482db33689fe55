#include "lib/runtime/engine_start.h"

#include <dlfcn.h>
#include <string_view>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "emulator/actions.h"
#include "emulator/engine.h"
#include "emulator/models.h"
#include "lib/image/module.h"
#include "lib/patch/stubs.h"
#include "lib/runtime/code_kinds.h"
#include "lib/runtime/definitions.h"
#include "lib/runtime/escalation.h"
#include "lib/runtime/loop_budget.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/region_entry.h"
#include "lib/runtime/regions.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/signals.h"
#include "lib/runtime/wait_limit.h"
#include "probes/asynchronous.h"
#include "probes/hooks.h"
#include "probes/sandbox.h"

extern "C" __attribute__((visibility("hidden"))) const char selfheal_interpreted_begin[];
extern "C" __attribute__((visibility("hidden"))) const char selfheal_interpreted_end[];

namespace selfheal::runtime {
namespace {

constexpr u64 mebibyte = 1024 * 1024;
// Reserved, and resident only as far as blocks are decoded: about 150 bytes an instruction.
constexpr u64 code_memory_size = 128 * mebibyte;
constexpr u64 block_memory_size = 256 * mebibyte;

void restore_originals(u64 address, u8* bytes, u64 size) {
  runtime.patcher.restore_originals(address, bytes, size);
}

// A heap that is preloaded may define only symbol versions that are not the default (glibc's own
// libc_malloc_debug.so): calls bind to those, a lookup without version does not find them.
struct VersionedName {
  std::string_view name;
  const char* version;
};
constexpr VersionedName heap_versions[] = {
    {"malloc", "GLIBC_2.2.5"},       {"free", "GLIBC_2.2.5"},
    {"calloc", "GLIBC_2.2.5"},       {"realloc", "GLIBC_2.2.5"},
    {"memalign", "GLIBC_2.2.5"},     {"valloc", "GLIBC_2.2.5"},
    {"pvalloc", "GLIBC_2.2.5"},      {"posix_memalign", "GLIBC_2.2.5"},
    {"aligned_alloc", "GLIBC_2.16"}, {"malloc_usable_size", "GLIBC_2.2.5"},
    {"malloc_trim", "GLIBC_2.2.5"},  {"mallopt", "GLIBC_2.2.5"},
    {"malloc_stats", "GLIBC_2.2.5"}, {"mallinfo", "GLIBC_2.2.5"},
    {"mallinfo2", "GLIBC_2.33"},     {"malloc_info", "GLIBC_2.10"},
};

// libc registers an area for each thread, of this size, which may be 0 (a tunable, an old kernel).
u64 rseq_cs_offset() {
  const auto* size = pointer_to<const unsigned>(address_of(dlsym(RTLD_DEFAULT, "__rseq_size")));
  const auto* offset =
      pointer_to<const ptrdiff_t>(address_of(dlsym(RTLD_DEFAULT, "__rseq_offset")));
  return size != nullptr && offset != nullptr && *size != 0
             ? static_cast<u64>(*offset) + offsetof(struct rseq, rseq_cs)
             : 0;
}

bool same_module(u64 a, u64 b) {
  image::Module module;
  return image::locate_module(a, module) && b - module.start < module.end - module.start;
}

u64 find_function(const char* name) {
  const u64 found = find_definition(name);
  for (const VersionedName& known : heap_versions) {
    if (known.name == name &&
        same_module(found, address_of(dlsym(RTLD_DEFAULT, "gnu_get_libc_version")))) {
      const void* versioned = dlvsym(RTLD_DEFAULT, name, known.version);
      return versioned != nullptr ? address_of(versioned) : found;
    }
  }
  return found;
}

u64 find_behind(const char* name) {
  return address_of(dlsym(RTLD_NEXT, name));
}

// A handler may be there to end the process more neatly (Apache's restores the default action and
// raises the signal again), or to go on. Where an abort of the region was recorded, it ended.
bool died_of_abort() {
  const i32 ruling = ruling_activation(emulator::this_thread);
  if (escalate(emulator::this_thread, ruling).any()) {
    return true;
  }
  if (ruling < 0) {
    return false;
  }
  const Region& region = ruling_region(emulator::this_thread, static_cast<u32>(ruling));
  const store::CatalogEntry* entry = runtime.store.catalog.find(region.catalog_id);
  return entry != nullptr && is_abort(entry->fault_kind);
}

bool dies_of_abort() {
  constexpr u64 abort_bit = u64{1} << (SIGABRT - 1);
  return (probes::has_default_action(SIGABRT) || died_of_abort()) &&
         probes::allowed(probes::Call::rt_sigprocmask) && (probes::current_mask() & abort_bit) == 0;
}

// For compensations: a call that the guest did not make itself must not get the process killed.
bool may_call(long number) {
  using probes::Call;
  if (probes::no_filter_seen()) {
    return true;
  }
  switch (number) {
    case SYS_close:
      return probes::allowed(Call::close);
    case SYS_munmap:
      return probes::allowed(Call::munmap);
    case SYS_mprotect:
      return probes::allowed(Call::mprotect);
    case SYS_futex:
      return probes::allowed(Call::futex);
    case SYS_rt_sigprocmask:
      return probes::allowed(Call::rt_sigprocmask);
    case SYS_rt_sigaction:
      return probes::allowed(Call::rt_sigaction);
    case SYS_getpid:
      return probes::allowed(Call::getpid);
    case SYS_gettid:
      return probes::allowed(Call::gettid);
    case SYS_sigaltstack:
      return probes::allowed(Call::sigaltstack);
    default:
      return false;
  }
}

struct Range {
  u64 begin;
  u64 end;
  bool holds(u64 address) const { return address >= begin && address < end; }
};
constinit Range own_text{};

bool find_own_text() {
  image::Module own;
  if (!image::locate_module(address_of_function(&start_engine), own)) {
    return false;
  }
  for (unsigned i = 0; i < own.segment_count; ++i) {
    const image::Segment& segment = own.segments[i];
    if (segment.holds(address_of_function(&start_engine), 1)) {
      own_text = {segment.start, segment.end};
      return true;
    }
  }
  return false;
}

// All of ours but the wrappers of libc's functions: see sections.ld.
bool native_text(u64 address) {
  const Range interpreted{address_of(selfheal_interpreted_begin),
                          address_of(selfheal_interpreted_end)};
  return own_text.holds(address) && !interpreted.holds(address);
}

}  // namespace

bool start_engine() {
  if (emulator::started()) {
    return true;
  }
  if (runtime.engine_failed) {
    return false;
  }
  emulator::Config config{};
  config.restore_originals = &restore_originals;
  config.code_kind = &code_kind;
  config.native_text = &native_text;
  config.is_text = &is_fixed_text;
  config.is_data = &is_data;
  config.protection_changed = &protection_changed;
  config.code_size = code_memory_size;
  config.block_memory = block_memory_size;
  config.instruction_budget = runtime.options.instruction_budget;
  config.time_budget = runtime.options.time_budget * 1'000'000;
  config.clock = &monotonic_ns;
  config.begin_wait = &begin_wait;
  config.end_wait = &end_wait;
  config.signal_area_size = signal_area_size();
  config.native_entry = address_of_function(&selfheal_enter_native);
  config.region_at = &engine_region_at;
  config.checks_natively = &checks_stack_at_entry;
  config.nested_limit = &nested_limit;
  config.nested_ended = &nested_ended;
  config.rseq_cs_offset = rseq_cs_offset();
  config.run = &run_region;
  config.resume = &resume_region;
  config.deliver = &deliver_signal;
  const char* why = "its own text cannot be found";
  if (!find_own_text() || !emulator::start(config, why)) {
    runtime.engine_failed = true;
    say("the engine cannot start here, faults are only recorded: ", why);
    return false;
  }
  emulator::set_may_call(&may_call);
  emulator::set_dies_of_abort(&dies_of_abort);
  emulator::set_hold_output(runtime.options.hold_output);
  emulator::resolve_models({&find_function, &find_behind, &same_module});
  if (probes::allowed(probes::Call::rt_sigaction)) {
    probes::wrap_handlers();
  }
  return true;
}

bool attach_engine_memory() {
  return emulator::attach_thread(runtime.options.log_megabytes * mebibyte);
}

void engine_after_fork() {
  if (emulator::started() && !emulator::after_fork()) {
    runtime.engine_failed = true;
  }
}

}  // namespace selfheal::runtime
