// The subject of the rollback tests: a program whose function `region` does random things with
// libc, the kernel and memory, and faults at a random point. Run under the runtime with that
// function as a region, everything observable afterwards has to be as it was before the call.
#pragma once

#include <atomic>
#include <cstdio>
#include <pthread.h>
#include <semaphore.h>
#include <string>
#include <unordered_map>

#include "test/support/random.h"

using selfheal::u16;
using selfheal::u32;
using selfheal::u64;
using selfheal::u8;
using selfheal::test::Random;

struct Slot {
  char* bytes;
  u64 size;
};

struct Node {
  Node* next;
  u64 value;
};

struct Mapping {
  u8* address;
  u64 size;
};

constexpr unsigned slot_count = 24;
constexpr unsigned mapping_count = 6;
constexpr unsigned file_count = 6;
constexpr unsigned mutex_count = 6;

struct World {
  Slot slots[slot_count];
  Node* list;
  std::unordered_map<std::string, std::string> words;
  char text[4096];
  u64 numbers[256];
  Mapping mappings[mapping_count];
  int files[file_count];                 // descriptors of one file of known contents; -1: none
  FILE* lines;                           // another such file, read through stdio
  int output;                            // what is written there stays written
  pthread_mutex_t mutexes[mutex_count];  // normal, recursive, error-checking, robust, PI, adaptive
  bool held[mutex_count];                // by this thread, between calls of region
  u64 guarded[mutex_count];
  pthread_rwlock_t rwlock;
  u32 rwlock_held;  // 0, 1 for reading, 2 for writing
  pthread_spinlock_t spin;
  sem_t semaphore;
  std::atomic<u8> count8;
  std::atomic<u32> count32;
  std::atomic<u64> count64;
  alignas(16) unsigned __int128 count128;
  std::atomic<u32> own_lock;  // a spin lock of the program's own: exchange, plain store
};

extern World world;

// Where a fault may happen: called between and within operations, also by libc's callbacks.
void tick();
// The next `n`-th tick faults; 0: none does.
void arm(u64 n);
u64 ticks_left();

// A string that has no end before a page that cannot be touched.
extern const char* endless;

void make_world(const char* folder);
void memory_operation(Random& random);
void library_operation(Random& random);
void system_operation(Random& random);
void lock_operation(Random& random);

extern "C" long region(u64 seed);

// What a caller can see. `contents`: without addresses and other values that differ from run to
// run.
std::string observe(bool contents);
