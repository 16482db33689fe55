// The subject of the rollback tests: a program whose function `region` does random things with
// libc, the kernel and memory, and faults at a random point. Run under the runtime with that
// function as a region, everything observable afterwards has to be as it was before the call.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <pthread.h>
#include <semaphore.h>
#include <string>
#include <unordered_map>

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

class Random {  // splitmix64
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 next() {
    state_ += 0x9e3779b97f4a7c15;
    u64 z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  u64 below(u64 n) { return next() % n; }

 private:
  u64 state_;
};

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
