#include "lib/runtime/heap_probe.h"

#include <dlfcn.h>
#include <string_view>
#include <sys/resource.h>

#include "emulator/engine.h"
#include "emulator/heap_view.h"
#include "lib/image/module.h"
#include "lib/image/symbols.h"
#include "lib/runtime/definitions.h"
#include "lib/runtime/heal_record.h"
#include "lib/runtime/heap_reports.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/protect.h"
#include "lib/runtime/runtime.h"
#include "lib/store/remedies.h"
#include "probes/heap/heap.h"
#include "probes/heap/sites.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

namespace heap = probes::heap;
using store::CatalogEntry;

constexpr unsigned max_owners = 128;
constinit RemedyOwner owners[max_owners] = {};
constinit std::atomic<u32> owner_count{0};

bool failed = false;  // the probe was tried and cannot run here

// What the catalog says of this process. Module by module, as entries name modules only.
struct Wishes {
  bool heap_faults = false;
  u64 last_corruption = 0;  // newest fault that names no access, and newest that does: times
  u64 first_explained = 0;
  bool corruption_explained() const { return last_corruption <= first_explained; }
};

bool speaks(const CatalogEntry& entry) {
  return entry.enabled != 0 && store::is_heap_fault(entry.fault_kind);
}

void note(const CatalogEntry& entry, Wishes& wishes) {
  wishes.heap_faults = true;
  u64& time = entry.fault_kind == FaultKind::heap_corruption ? wishes.last_corruption
                                                             : wishes.first_explained;
  time = entry.last_seen_ns > time ? entry.last_seen_ns : time;
}

bool look(const image::Module& module, void* context) {
  if (module.id.kind == ModuleIdKind::none) {
    return true;
  }
  for (const CatalogEntry& entry : runtime.store.catalog.of_module(module.id)) {
    if (speaks(entry)) {
      note(entry, *static_cast<Wishes*>(context));
    }
  }
  return true;
}

struct Lookup {
  const RecordModule* wanted;
  u64 bias;
  bool found;
};

bool match(const image::Module& module, void* context) {
  auto& lookup = *static_cast<Lookup*>(context);
  lookup.found = module.id.kind != ModuleIdKind::none && module.id == lookup.wanted->id;
  lookup.bias = module.bias;
  return !lookup.found;
}

// Where a catalog entry's code reference is in this process; 0: its module is not loaded.
u64 address_here(const CatalogEntry& entry, const CodeRef& code) {
  if (code.module >= entry.module_count) {
    return 0;
  }
  Lookup lookup{&entry.modules[code.module], 0, false};
  image::for_each_module(&match, &lookup);
  return lookup.found ? lookup.bias + code.offset : 0;
}

u8 bit(Remedy remedy) {
  return static_cast<u8>(remedy);
}

void add_rule(const CatalogEntry& entry, const CodeRef& site, u8 remedies, bool guard) {
  const u64 address = address_here(entry, site);
  const u8 in_force = entry.policy == store::Policy::heal ? entry.remedies & remedies : 0;
  if (address != 0 && (in_force != 0 || guard)) {
    const bool before = guard && entry.detail.chunk_offset < 0;
    heap::add_rule(address, {in_force, guard, before, entry.padding, entry.id});
  }
}

void add_rules(const CatalogEntry& entry) {
  add_rule(entry, entry.detail.allocated_at,
           bit(Remedy::pad_allocation) | bit(Remedy::fill_allocation),
           entry.fault_kind != FaultKind::bad_free);
  add_rule(entry, entry.detail.freed_at, bit(Remedy::delay_free), false);
  // The call of the bad free: our records begin with it; libc's abort has it in the blamed
  // function.
  add_rule(entry, entry.frames[0], bit(Remedy::ignore_free), false);
  if (entry.blamed_frame < entry.frame_count) {
    add_rule(entry, entry.frames[entry.blamed_frame], bit(Remedy::ignore_free), false);
  }
}

bool is_loaded(const RecordModule& module) {
  Lookup lookup{&module, 0, false};
  image::for_each_module(&match, &lookup);
  return lookup.found;
}

void remember_owner(const CatalogEntry& entry) {
  for (u32 i = 0; i < owner_count.load(); ++i) {
    if (owners[i].id == entry.id) {
      return;
    }
  }
  if (const u32 at = owner_count.load(); at < max_owners) {
    owners[at] = {
        entry.id, {{entry.entry_offset, 0, {}}, entry.code_hash, entry.size, 0}, entry.module};
    owner_count.store(at + 1, std::memory_order_release);
  }
}

void apply_rules() {
  heap::begin_rules();
  for (const CatalogEntry& entry : runtime.store.catalog.entries()) {
    if (entry.enabled != 0 && (speaks(entry) || (entry.remedies & store::heap_remedies) != 0) &&
        is_loaded(entry.module)) {
      add_rules(entry);
      remember_owner(entry);
    }
  }
  heap::end_rules();
}

// What takes the place of which function: those of the allocator that a call of malloc gets to; and
// libstdc++'s operator new, which only hands on.
bool is_allocators(const heap::Replacement& row, u64 function, u64 allocator) {
  image::Module module;
  if (!image::locate_module(function, module)) {
    return false;
  }
  if (allocator - module.start < module.end - module.start) {
    return true;
  }
  return row.gives && std::string_view(row.name).starts_with("_Zn") &&
         std::string_view(image::soname(module)) == "libstdc++.so.6";
}

// A sanitizer's allocator watches its chunks itself, and better.
bool has_sanitizer() {
  for (const char* entry : {"__asan_init", "__hwasan_init", "__tsan_init", "__msan_init"}) {
    if (dlsym(RTLD_DEFAULT, entry) != nullptr) {
      return true;
    }
  }
  return false;
}

// In the table's order: whoever has a chunk of ours must be able to give it back.
bool divert_allocator(patch::Threads threads) {
  if (has_sanitizer()) {
    return false;
  }
  const u64 allocator = find_definition("malloc");
  bool any = false;
  for (unsigned i = 0; i < heap::replacement_count(); ++i) {
    const heap::Replacement row = heap::replacement(i);
    const u64 function = find_definition(row.name);
    if (function == 0 || !is_allocators(row, function, allocator)) {
      if (row.vital) {
        say("the heap is not watched here: malloc's module does not have ", row.name);
        return false;
      }
      continue;
    }
    const char* problem = divert(function, row.replacement, *row.next, threads);
    if (problem != nullptr && !row.gives) {
      say("the heap is not watched here: its allocator cannot be diverted: ", problem);
      return false;
    }
    any |= problem == nullptr && row.gives;
  }
  dlerror();
  return any;
}

bool may_map() {
  return probes::no_filter_seen() ||
         (probes::allowed(probes::Call::mmap) && probes::allowed(probes::Call::mprotect));
}

// A quarter of what the process may have at most, so that its own limit stays its own.
u64 address_limit() {
  rlimit limit{};
  u64 least = ~u64{0};
  for (const auto resource : {RLIMIT_AS, RLIMIT_DATA}) {
    if (getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
      least = limit.rlim_cur / 4 < least ? limit.rlim_cur / 4 : least;
    }
  }
  return least;
}

bool start_probe(patch::Threads threads) {
  image::Module own;
  if (!image::locate_module(address_of_function(&start_probe), own)) {
    return false;
  }
  heap::Reports reports = heap_reports();
  reports.may_map = &may_map;
  if (!heap::start({own.start, own.end, address_limit()}, reports)) {
    say("the heap is not watched: no address space for it");
    return false;
  }
  emulator::watch_heap(
      {heap::arena_begin(), heap::arena_size(), &heap::check_access, [](u64 pointer, u64 site) {
         return static_cast<emulator::HeapView::Release>(heap::judge_release(pointer, site));
       }});
  return divert_allocator(threads);
}

static_assert(static_cast<int>(heap::Release::ignore) ==
              static_cast<int>(emulator::HeapView::Release::ignore));
static_assert(static_cast<int>(heap::Release::refuse) ==
              static_cast<int>(emulator::HeapView::Release::refuse));

}  // namespace

void apply_heap_probe(patch::Threads threads) {
  using options::HeapProbe;
  if (failed || runtime.options.heap_probe == HeapProbe::never || !runtime.heals_faults()) {
    return;
  }
  Wishes wishes;
  image::for_each_module(&look, &wishes);
  if (!wishes.heap_faults && runtime.options.heap_probe != HeapProbe::always && !heap::started()) {
    return;
  }
  if (!heap::started() && !start_probe(threads)) {
    failed = true;
    return;
  }
  apply_rules();
  heap::hunt(runtime.options.heap_probe == HeapProbe::always || !wishes.corruption_explained());
}

void name_heap_fault(Fault& fault) {
  constexpr u8 page_fault = 14;
  // While chunks are ours, what the allocator refuses to take back is no chunk of its own.
  if (const u64 pointer = heap::handed_on();
      fault.kind == FaultKind::heap_corruption && pointer != 0) {
    fault.kind = FaultKind::bad_free;
    fault.address = pointer;
  }
  if (fault.kind == FaultKind::wild_access && fault.trap == page_fault) {
    const FaultKind kind = heap::check_access(fault.address, 1, fault.access == Access::write);
    fault.kind = kind != FaultKind::none ? kind : fault.kind;
  }
}

void describe_chunk(FaultRecord& record) {
  heap::ChunkInfo chunk{};
  const FaultKind kind = record.fault.kind;
  if ((kind != FaultKind::heap_overflow && kind != FaultKind::use_after_free &&
       kind != FaultKind::bad_free) ||
      !heap::find_chunk(record.fault.address, chunk)) {
    return;
  }
  FaultDetail& detail = record.detail;
  detail.chunk_size = chunk.size;
  detail.chunk_offset = static_cast<i64>(record.fault.address - chunk.begin);
  if (chunk.allocated_at != 0) {
    detail.allocated_at = refer(record, chunk.allocated_at);
  }
  if (!chunk.live && chunk.freed_at != 0) {
    detail.freed_at = refer(record, chunk.freed_at);
  }
}

bool find_remedy_owner(u64 id, RemedyOwner& owner) {
  for (u32 i = 0; i < owner_count.load(std::memory_order_acquire); ++i) {
    if (owners[i].id == id) {
      owner = owners[i];
      return true;
    }
  }
  return false;
}

}  // namespace selfheal::runtime
