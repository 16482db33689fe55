#include "emulator/models.h"

#include <initializer_list>

#include "emulator/copy_bytes.h"
#include "emulator/models_internal.h"

namespace selfheal::emulator {

constinit u64 heap_alignment = 16;

namespace {

struct Row {
  const char* name;
  Model model;
};

constexpr Row rows[] = {
#define SELFHEAL_MODEL(name, model) {#name, model},
#include "emulator/models.inc"
#undef SELFHEAL_MODEL
};

constexpr u64 row_count = sizeof rows / sizeof rows[0];

struct Entry {
  u64 address;
  const Row* row;
};

// Open addressing, at most a third full: an entry that is no model costs one probe, mostly.
constexpr u64 slots = 1024;
static_assert(row_count * 3 <= slots);
constinit Entry table[slots]{};

u64 slot_of(u64 address) {
  return (address * 0x9e3779b97f4a7c15 >> 32) % slots;
}

const Row* row_at(u64 address) {
  for (u64 i = slot_of(address); table[i].row != nullptr; i = (i + 1) % slots) {
    if (table[i].address == address) {
      return table[i].row;
    }
  }
  return nullptr;
}

void insert(u64 address, const Row& row) {
  u64 i = slot_of(address);
  while (table[i].row != nullptr) {
    if (table[i].address == address) {
      return;
    }
    i = (i + 1) % slots;
  }
  table[i] = {address, &row};
}

bool same_text(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

// libc calls its own definition, the program the one that stands in front of it.
void insert_behind(const char* name, u64 address) {
  for (const Row& row : rows) {
    if (address != 0 && same_text(row.name, name)) {
      insert(address, row);
    }
  }
}

// A program's own operator new may hand out memory that is not malloc's.
bool is_cxx_operator(const Row& row) {
  return row.name[0] == '_' && row.name[1] == 'Z' && (row.name[2] == 'n' || row.name[2] == 'd');
}

struct Wanted {
  const char* name;
  u64 NativeFunctions::*function;
};

constexpr Wanted wanted[] = {
    {"malloc", &NativeFunctions::malloc},
    {"free", &NativeFunctions::free},
    {"aligned_alloc", &NativeFunctions::aligned_alloc},
    {"malloc_usable_size", &NativeFunctions::malloc_usable_size},
    {"memcpy", &NativeFunctions::memcpy},
    {"strlen", &NativeFunctions::strlen},
    {"strnlen", &NativeFunctions::strnlen},
    {"__errno_location", &NativeFunctions::errno_location},
    {"pthread_mutex_trylock", &NativeFunctions::mutex_trylock},
    {"pthread_mutex_unlock", &NativeFunctions::mutex_unlock},
    {"pthread_mutex_consistent", &NativeFunctions::mutex_consistent},
    {"pthread_rwlock_tryrdlock", &NativeFunctions::rwlock_tryrdlock},
    {"pthread_rwlock_trywrlock", &NativeFunctions::rwlock_trywrlock},
    {"pthread_rwlock_unlock", &NativeFunctions::rwlock_unlock},
    {"pthread_spin_trylock", &NativeFunctions::spin_trylock},
    {"pthread_spin_unlock", &NativeFunctions::spin_unlock},
    {"sem_trywait", &NativeFunctions::sem_trywait},
    {"sem_post", &NativeFunctions::sem_post},
    {"__cxa_guard_abort", &NativeFunctions::guard_abort},
    {"dl_iterate_phdr", &NativeFunctions::dl_iterate_phdr},
    {"_dl_catch_error", &NativeFunctions::loader},
};

}  // namespace

void resolve_models(const Resolver& resolver) {
  for (const Wanted& want : wanted) {
    native_functions.*want.function = resolver.find(want.name);
  }
  const u64 heap = native_functions.malloc;
  const u64 libc = resolver.find("gnu_get_libc_version");
  heap_alignment = libc != 0 && resolver.same_module(heap, libc) ? 16 : 8;
  for (Entry& entry : table) {
    entry = {};
  }
  for (const Row& row : rows) {
    const u64 address = resolver.find(row.name);
    if (address != 0 && (!is_cxx_operator(row) || resolver.same_module(heap, address))) {
      insert(address, row);
    }
  }
  for (const char* name :
       {"abort", "__assert_fail", "__assert_perror_fail", "__assert", "__stack_chk_fail"}) {
    insert_behind(name, resolver.find_behind != nullptr ? resolver.find_behind(name) : 0);
  }
}

Model find_model(u64 rip) {
  const Row* row = row_at(rip);
  return row != nullptr ? row->model : nullptr;
}

const char* model_name(u64 rip) {
  const Row* row = row_at(rip);
  return row != nullptr ? row->name : "unknown";
}

bool prepare(Thread& thread) {
  if (!thread.log.room()) {
    return false;
  }
  const u64 location = native_functions.errno_location;
  return location == 0 || thread.log.save_value<u32>(call_at(location));
}

namespace {

struct Object {
  UndoLog* log;
  u64 address;
  u64 size;
  bool kept;
};

}  // namespace

bool accessible(Thread& thread, u64 address, u64 size) {
  Object object{nullptr, address, size, false};
  return guarded_call(
      thread,
      [](void* argument) {
        const auto& [log, first, count, kept] = *static_cast<const Object*>(argument);
        // An atomic "or 0" is a write that no other thread can see.
        __atomic_fetch_or(pointer_to<u8>(first), 0, __ATOMIC_RELAXED);
        __atomic_fetch_or(pointer_to<u8>(first + count - 1), 0, __ATOMIC_RELAXED);
      },
      &object);
}

bool keep_result(Thread& thread, u64 address, u64 size) {
  Object object{&thread.log, address, size, false};
  return accessible(thread, address, size) &&
         guarded_call(
             thread,
             [](void* argument) {
               auto& request = *static_cast<Object*>(argument);
               request.kept = request.log->save(request.address, request.size);
             },
             &object) &&
         object.kept;
}

}  // namespace selfheal::emulator
