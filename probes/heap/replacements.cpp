// What the allocator's entries are diverted to. Each looks whether the chunk is ours, and otherwise
// jumps on to the allocator by the native path, with the arguments it got.
//
// A replacement runs on the stack of its caller with the caller's return address on top, as the
// allocator's function would: that address is the site. Calls that libc makes for others (strdup,
// getline) have a site in libc; libstdc++'s operator new is replaced as well, so that its callers
// are told apart, while its operator delete jumps to free and so is no frame at all.
#include <errno.h>

#include "lib/base/raw_syscall.h"
#include "probes/heap/chunks.h"
#include "probes/heap/sites.h"

namespace selfheal::probes::heap {
namespace {

constinit Options options{};
constinit bool is_started = false;
constinit thread_local u64 handed = 0;

// Native paths, in the order of the table below.
enum Name : unsigned {
  of_free,
  of_cfree,
  of_realloc,
  of_reallocarray,
  of_usable_size,
  of_dallocx,
  of_sdallocx,
  of_rallocx,
  of_xallocx,
  of_sallocx,
  of_delete,  // and the eleven behind it
  of_malloc = of_delete + 12,
  of_calloc,
  of_memalign,
  of_aligned_alloc,
  of_posix_memalign,
  of_valloc,
  of_pvalloc,
  of_new,
  of_new_array,
  name_count,
};
constinit u64 next[name_count] = {};

// The type all of them are given: none takes more, and who takes less ignores the rest.
using Function = u64(u64, u64, u64, u64);

u64 call_next(Name name, u64 a, u64 b = 0, u64 c = 0, u64 d = 0) {
  return pointer_to<Function>(next[name])(a, b, c, d);
}

u64 site_at(const void* return_address) {
  const u64 site = address_of(return_address);
  return site - options.own_text_begin < options.own_text_end - options.own_text_begin
             ? reports.guest_site()
             : site;
}
#define SELFHEAL_SITE site_at(__builtin_return_address(0))

bool is_ours(u64 pointer) {
  return arena.holds(pointer);
}

// Of a pointer that the allocator would get: is it to be dropped?
bool dropped(u64 pointer, u64 site) {
  return pointer != 0 && rule_of(site).has(Remedy::ignore_free) &&
         judge_release(pointer, site) == Release::ignore;
}

template <unsigned name>
u64 take_back(u64 pointer, u64 b, u64 c, u64 d) {
  const u64 site = SELFHEAL_SITE;
  if (is_ours(pointer)) {
    release(pointer, site);
    return 0;
  }
  if (dropped(pointer, site)) {
    return 0;
  }
  handed = pointer;
  const u64 result = call_next(static_cast<Name>(name), pointer, b, c, d);
  handed = 0;
  return result;
}

// 0: the allocator has to do it.
u64 give(u64 size, u64 alignment, u64 site, bool zero) {
  return allocate(size, alignment, site, zero);
}

bool power_of_two(u64 value) {
  return value != 0 && (value & (value - 1)) == 0;
}

u64 replaced_malloc(u64 size, u64, u64, u64) {
  const u64 chunk = give(size, 1, SELFHEAL_SITE, false);
  return chunk != 0 ? chunk : call_next(of_malloc, size);
}

u64 replaced_calloc(u64 count, u64 size, u64, u64) {
  u64 total = 0;
  const u64 chunk =
      __builtin_mul_overflow(count, size, &total) ? 0 : give(total, 1, SELFHEAL_SITE, true);
  return chunk != 0 ? chunk : call_next(of_calloc, count, size);
}

u64 replaced_memalign(u64 alignment, u64 size, u64, u64) {
  const u64 chunk = power_of_two(alignment) ? give(size, alignment, SELFHEAL_SITE, false) : 0;
  return chunk != 0 ? chunk : call_next(of_memalign, alignment, size);
}

u64 replaced_aligned_alloc(u64 alignment, u64 size, u64, u64) {
  const u64 chunk = power_of_two(alignment) ? give(size, alignment, SELFHEAL_SITE, false) : 0;
  return chunk != 0 ? chunk : call_next(of_aligned_alloc, alignment, size);
}

u64 replaced_posix_memalign(u64 result, u64 alignment, u64 size, u64) {
  const bool valid = power_of_two(alignment) && alignment % sizeof(void*) == 0;
  const u64 chunk = valid ? give(size, alignment, SELFHEAL_SITE, false) : 0;
  if (chunk == 0) {
    return call_next(of_posix_memalign, result, alignment, size);
  }
  *pointer_to<u64>(result) = chunk;
  return 0;
}

u64 replaced_valloc(u64 size, u64, u64, u64) {
  const u64 chunk = give(size, page_size, SELFHEAL_SITE, false);
  return chunk != 0 ? chunk : call_next(of_valloc, size);
}

u64 replaced_pvalloc(u64 size, u64, u64, u64) {
  const bool valid = size <= ~page_size;
  const u64 chunk = valid ? give(page_up(size), page_size, SELFHEAL_SITE, false) : 0;
  return chunk != 0 ? chunk : call_next(of_pvalloc, size);
}

template <unsigned name>
u64 replaced_new(u64 size, u64, u64, u64) {
  const u64 chunk = give(size, 1, SELFHEAL_SITE, false);
  return chunk != 0 ? chunk : call_next(static_cast<Name>(name), size);
}

// A chunk of ours gets another size: where it is, or elsewhere, at worst by the allocator.
u64 resize(u64 pointer, u64 size, u64 site) {
  if (size == 0) {  // as glibc and jemalloc do
    release(pointer, site);
    return 0;
  }
  Place place{};
  if (!live_chunk(pointer, place)) {
    reject(pointer, site);
    return allocate(size, 1, site, true);  // the remedy is to ignore it: the caller goes on
  }
  if (resize_in_place(place, size)) {
    return pointer;
  }
  const u64 old_size = place.slot().asked;
  u64 chunk = allocate(size, 1, site, false);
  if (chunk == 0) {
    chunk = call_next(of_malloc, size);
  }
  if (chunk != 0) {
    __builtin_memcpy(pointer_to<void>(chunk), pointer_to<const void>(pointer),
                     old_size < size ? old_size : size);
    release(pointer, site);
  }
  return chunk;
}

u64 replaced_realloc(u64 pointer, u64 size, u64, u64) {
  const u64 site = SELFHEAL_SITE;
  if (is_ours(pointer)) {
    return resize(pointer, size, site);
  }
  if (dropped(pointer, site)) {
    pointer = 0;
  }
  const u64 chunk = pointer == 0 ? allocate(size, 1, site, false) : 0;
  if (chunk != 0) {
    return chunk;
  }
  handed = pointer;
  const u64 moved = call_next(of_realloc, pointer, size);
  handed = 0;
  return moved;
}

u64 replaced_reallocarray(u64 pointer, u64 count, u64 size, u64) {
  const u64 site = SELFHEAL_SITE;
  u64 total = 0;
  if (!is_ours(pointer) || __builtin_mul_overflow(count, size, &total)) {
    return call_next(of_reallocarray, pointer, count, size);
  }
  return resize(pointer, total, site);
}

// jemalloc's, with an alignment in the lowest bits of the flags.
u64 replaced_rallocx(u64 pointer, u64 size, u64 flags, u64) {
  const u64 site = SELFHEAL_SITE;
  constexpr u64 log_of_alignment = 63;
  if (!is_ours(pointer)) {
    return call_next(of_rallocx, pointer, size, flags);
  }
  const u64 alignment = u64{1} << (flags & log_of_alignment);
  Place place{};
  const u64 chunk = live_chunk(pointer, place) ? allocate(size, alignment, site, true) : 0;
  if (chunk != 0) {
    const u64 old_size = place.slot().asked;
    __builtin_memcpy(pointer_to<void>(chunk), pointer_to<const void>(pointer),
                     old_size < size ? old_size : size);
    release(pointer, site);
  }
  return chunk;
}

template <unsigned name>
u64 replaced_size(u64 pointer, u64 b, u64 c, u64 d) {
  Place place{};
  if (!is_ours(pointer)) {
    return call_next(static_cast<Name>(name), pointer, b, c, d);
  }
  return live_chunk(pointer, place) ? place.slot().asked : 0;
}

struct Row {
  const char* name;
  Function* function;
  bool gives;
};

#define SELFHEAL_DELETE(offset, name) \
  { name, &take_back<of_delete + (offset)>, false }
constexpr Row rows[name_count] = {
    {"free", &take_back<of_free>, false},
    {"cfree", &take_back<of_cfree>, false},
    {"realloc", &replaced_realloc, false},
    {"reallocarray", &replaced_reallocarray, false},
    {"malloc_usable_size", &replaced_size<of_usable_size>, false},
    {"dallocx", &take_back<of_dallocx>, false},
    {"sdallocx", &take_back<of_sdallocx>, false},
    {"rallocx", &replaced_rallocx, false},
    {"xallocx", &replaced_size<of_xallocx>, false},
    {"sallocx", &replaced_size<of_sallocx>, false},
    SELFHEAL_DELETE(0, "_ZdlPv"),
    SELFHEAL_DELETE(1, "_ZdaPv"),
    SELFHEAL_DELETE(2, "_ZdlPvm"),
    SELFHEAL_DELETE(3, "_ZdaPvm"),
    SELFHEAL_DELETE(4, "_ZdlPvRKSt9nothrow_t"),
    SELFHEAL_DELETE(5, "_ZdaPvRKSt9nothrow_t"),
    SELFHEAL_DELETE(6, "_ZdlPvSt11align_val_t"),
    SELFHEAL_DELETE(7, "_ZdaPvSt11align_val_t"),
    SELFHEAL_DELETE(8, "_ZdlPvmSt11align_val_t"),
    SELFHEAL_DELETE(9, "_ZdaPvmSt11align_val_t"),
    SELFHEAL_DELETE(10, "_ZdlPvSt11align_val_tRKSt9nothrow_t"),
    SELFHEAL_DELETE(11, "_ZdaPvSt11align_val_tRKSt9nothrow_t"),
    {"malloc", &replaced_malloc, true},
    {"calloc", &replaced_calloc, true},
    {"memalign", &replaced_memalign, true},
    {"aligned_alloc", &replaced_aligned_alloc, true},
    {"posix_memalign", &replaced_posix_memalign, true},
    {"valloc", &replaced_valloc, true},
    {"pvalloc", &replaced_pvalloc, true},
    {"_Znwm", &replaced_new<of_new>, true},
    {"_Znam", &replaced_new<of_new_array>, true},
};
#undef SELFHEAL_DELETE

}  // namespace

bool start(const Options& wanted, const Reports& told) {
  options = wanted;
  reports = told;
  is_started = arena.reserve(wanted.address_limit, told.may_map);
  return is_started;
}

u64 handed_on() {
  return handed;
}

bool started() {
  return is_started;
}

unsigned replacement_count() {
  return name_count;
}

Replacement replacement(unsigned index) {
  const Row& row = rows[index];
  const bool vital = index == of_free || index == of_realloc || index == of_malloc;
  return {row.name, address_of_function(row.function), &next[index], vital, row.gives};
}

}  // namespace selfheal::probes::heap
