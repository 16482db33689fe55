// rollback_threads soak SEED REGIONS | once | guard | futex
//
// Threads at full speed beside a region that faults and is rolled back, again and again. They use
// what the region uses; every invariant of theirs has to hold, and nobody may wait for ever (the
// scenario has a deadline).
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <linux/futex.h>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using u32 = unsigned;
using u64 = unsigned long;

void require(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::_Exit(1);
  }
}

u64 next(u64& state) {  // xorshift
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

volatile u64 zero = 0;

[[gnu::noinline]] void fault() {
  *reinterpret_cast<volatile u64*>(zero + 8) = 1;
}

// Two numbers that are equal whenever nobody holds the lock.
struct Pair {
  u64 a, b;
};

// A lock of the program's own: taken by an exchange, released by a plain store.
class OwnLock {
 public:
  void lock() {
    while (word_.exchange(1, std::memory_order_acquire) != 0) {
      std::this_thread::yield();
    }
  }
  void unlock() { word_.store(0, std::memory_order_release); }

 private:
  std::atomic<u32> word_{0};
};

// A mutex as glibc and Rust make them: 0 free, 1 taken, 2 taken and somebody may wait.
class FutexLock {
 public:
  void lock() {
    u32 expected = 0;
    if (word_.compare_exchange_strong(expected, 1)) {
      return;
    }
    while (word_.exchange(2) != 0) {
      syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 2, nullptr, nullptr, 0);
    }
  }
  void unlock() {
    if (word_.exchange(0) == 2) {
      syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
  }
  u32 word() const { return word_.load(); }

 private:
  std::atomic<u32> word_{0};
};

std::atomic<u64> count64{0};
std::atomic<u32> count32{0};
std::atomic<u64> bits{0};
std::mutex mutex;
Pair by_mutex{};        // the region may have released the lock before it faults
Pair by_mutex_whole{};  // the region faults while it has the lock, or not at all
OwnLock own_lock;
Pair by_own_lock{};
Pair by_own_lock_whole{};
FutexLock futex_lock;
Pair by_futex_lock{};
Pair by_futex_lock_whole{};
std::atomic<bool> stop{false};

template <typename Lock>
void change(Lock& lock, Pair& pair, u64 by, bool fails) {
  const std::lock_guard<Lock> guard(lock);
  require(pair.a == pair.b, "a pair is not equal under its lock");
  pair.a += by;
  if (fails) {
    fault();
  }
  pair.b += by;
}

struct Tally {
  u64 adds = 0;
  u64 changes = 0;
  bool my_bit = false;
};

void neighbour(unsigned number, u64 seed, Tally& tally) {
  u64 random = seed * 77 + number;
  std::vector<std::unique_ptr<std::vector<unsigned char>>> blocks(64);
  while (!stop.load()) {
    for (unsigned i = 0; i < 50; ++i) {
      count64.fetch_add(3);
      count32.fetch_sub(1);
      ++tally.adds;
    }
    bits.fetch_xor(u64{1} << number);
    tally.my_bit = !tally.my_bit;
    for (unsigned i = 0; i < 10; ++i) {
      auto& block = blocks[next(random) % blocks.size()];
      if (block != nullptr) {
        for (const unsigned char c : *block) {
          require(c == static_cast<unsigned char>(block->size()), "a block of the heap");
        }
      }
      const u64 size = 1 + next(random) % 600;
      block = std::make_unique<std::vector<unsigned char>>(size, static_cast<unsigned char>(size));
    }
    change(mutex, by_mutex, 1, false);
    change(mutex, by_mutex_whole, 1, false);
    change(own_lock, by_own_lock, 1, false);
    change(own_lock, by_own_lock_whole, 1, false);
    change(futex_lock, by_futex_lock, 1, false);
    change(futex_lock, by_futex_lock_whole, 1, false);
    ++tally.changes;
  }
}

std::array<char*, 32> own_blocks{};

void use_heap(u64& random) {
  for (unsigned i = 0; i < 12; ++i) {
    char*& block = own_blocks[next(random) % own_blocks.size()];
    if (next(random) % 3 == 0) {
      std::free(block);
      block = nullptr;
    } else {
      const u64 size = 16 + next(random) % 900;
      block = static_cast<char*>(std::realloc(block, size));
      std::memset(block, 0x5a, size);
    }
  }
}

}  // namespace

extern "C" [[gnu::noinline]] long region(u64 seed, u64 fails) {
  u64 random = seed;
  count64.fetch_add(next(random));
  count32.fetch_add(static_cast<u32>(next(random)));
  bits.fetch_or(u64{1} << 50);
  use_heap(random);
  for (unsigned i = 0; i < 4; ++i) {
    change(mutex, by_mutex, 1000, fails == 1 + i);
    change(own_lock, by_own_lock, 1000, fails == 5 + i);
    change(futex_lock, by_futex_lock, 1000, fails == 9 + i);
  }
  use_heap(random);
  if (fails == 13) {
    fault();
  }
  switch (fails) {
    case 14:
      change(mutex, by_mutex_whole, 1000, true);
      break;
    case 15:
      change(own_lock, by_own_lock_whole, 1000, true);
      break;
    default:
      change(futex_lock, by_futex_lock_whole, 1000, true);
  }
  return 1;
}

namespace {

int soak(u64 seed, u64 regions) {
  constexpr unsigned neighbours = 3;
  std::array<Tally, neighbours> tallies{};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < neighbours; ++i) {
    threads.emplace_back(neighbour, i, seed, std::ref(tallies[i]));
  }
  u64 random = seed + 12345;
  u64 changed = 0;
  while (changed < 50) {  // they run
    const std::lock_guard<std::mutex> guard(mutex);
    changed = by_mutex.a;
  }
  for (u64 i = 0; i < regions; ++i) {
    const u64 with = next(random);
    const long result = region(with, 1 + next(random) % 16);
    require(result <= 0, "a region that faults has been healed");
    for (char* block : own_blocks) {
      require(block == nullptr, "the region's blocks are as before");
    }
  }
  stop = true;
  Tally all;
  u64 expected_bits = 0;
  for (unsigned i = 0; i < neighbours; ++i) {
    threads[i].join();
    all.adds += tallies[i].adds;
    all.changes += tallies[i].changes;
    expected_bits |= u64{tallies[i].my_bit} << i;
  }
  std::fprintf(stderr, "%lu regions, %lu changes by the others; pairs %lu %lu %lu\n", regions,
               all.changes, by_mutex.a, by_own_lock.a, by_futex_lock.a);
  require(count64.load() == 3 * all.adds, "the 64-bit count is the others' sum");
  require(count32.load() == static_cast<u32>(0 - all.adds), "the 32-bit count is the others' sum");
  require(bits.load() == expected_bits, "bits");
  for (const Pair* pair : {&by_mutex, &by_own_lock, &by_futex_lock}) {
    require(pair->a == pair->b, "a pair is equal in the end");
  }
  for (const Pair* pair : {&by_mutex_whole, &by_own_lock_whole, &by_futex_lock_whole}) {
    require(pair->a == all.changes && pair->b == all.changes,
            "what was changed under a lock that the region only held when it faulted");
  }
  return 0;
}

// A thread waits for the initialization that the region has begun; the region faults in it.
pthread_once_t once = PTHREAD_ONCE_INIT;
std::atomic<int> initialized{0};
std::atomic<pid_t> waiter_id{0};

bool is_asleep(pid_t thread) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
  FILE* file = std::fopen(path, "re");
  char state = '?';
  require(file != nullptr && std::fscanf(file, "%*d (%*[^)]) %c", &state) == 1, "stat");
  std::fclose(file);
  return state == 'S';
}

bool region_may_fault = true;
int announce[2];

void wait_for_waiter() {
  require(write(announce[1], "x", 1) == 1, "write");
  do {
    sched_yield();
  } while (waiter_id.load() == 0 || !is_asleep(waiter_id.load()));
}

void initialize() {
  if (region_may_fault) {
    wait_for_waiter();
    fault();
  }
  ++initialized;
}

struct Local {
  Local() { initialize(); }
};

Local& local() {
  static Local the_local;
  return the_local;
}

void initialize_once() {
  pthread_once(&once, initialize);
}

void initialize_local() {
  static_cast<void>(local());
}

void lock_and_fault() {
  futex_lock.lock();
  if (region_may_fault) {
    wait_for_waiter();
    fault();
  }
  ++initialized;
  futex_lock.unlock();
}

void (*action)() = nullptr;

}  // namespace

extern "C" [[gnu::noinline]] long region_once() {
  action();
  return 1;
}

namespace {

int wait_beside(void (*what)()) {
  action = what;
  require(pipe(announce) == 0, "pipe");
  std::thread waiter([] {
    char c;
    require(read(announce[0], &c, 1) == 1, "read");
    waiter_id = gettid();
    // The region has seen it true: it faults, whatever it does next.
    region_may_fault = false;
    action();
  });
  require(region_once() <= 0, "the region has been healed");
  waiter.join();
  require(initialized.load() == 1, "initialized by the waiter");
  require(region_once() == 1, "the next call succeeds");
  std::fprintf(stderr, "initialized %d times\n", initialized.load());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const char* which = count > 1 ? words[1] : "";
  if (std::strcmp(which, "soak") == 0 && count == 4) {
    return soak(std::strtoull(words[2], nullptr, 0), std::strtoull(words[3], nullptr, 0));
  }
  if (std::strcmp(which, "once") == 0) {
    return wait_beside(initialize_once);
  }
  if (std::strcmp(which, "guard") == 0) {
    return wait_beside(initialize_local);
  }
  if (std::strcmp(which, "futex") == 0) {
    return wait_beside(lock_and_fault);
  }
  return 2;
}
