// What the undo log costs, and how it grows. Prints ratios of medians measured in turn in one run;
// no targets, no pass or fail.
//
//   1. a logged store against a plain one, by how far the log has grown, and rolling it back
//   2. what regions typically do, with a log that only appends (address, size, old bytes) and with
//      ours, which joins neighbours and leaves out what it has just kept: time, and bytes of log
//      for each byte stored
#include "emulator/undo_log.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <time.h>
#include <vector>

namespace {

using selfheal::address_of;
using selfheal::pointer_to;
using selfheal::u16;
using selfheal::u32;
using selfheal::u64;
using selfheal::u8;
using selfheal::emulator::UndoLog;

constexpr u64 log_size = u64{68} << 20;
constexpr int rounds = 15;

double now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The stores of a region go through one of these. The address is hidden from the compiler, as it is
// from an engine, and nothing of the log stays in registers, as handlers are functions.
template <typename T>
inline T* hidden(T* word) {
  asm volatile("" : "+r"(word) : : "memory");
  return word;
}

struct Plain {
  template <typename T>
  void store(T* at, T value) {
    *hidden(at) = value;
  }
  u64 used() const { return 0; }
  void clear() {}
};

struct Appending {
  u64 begin;
  u64 cursor;

  template <typename T>
  void store(T* at, T value) {
    T* word = hidden(at);
    if (cursor + 24 > begin + log_size) {
      std::abort();
    }
    u64 old = 0;
    std::memcpy(&old, word, sizeof(T));
    u64* record = pointer_to<u64>(cursor);
    record[0] = old;
    record[1] = address_of(word);
    record[2] = sizeof(T);
    cursor += 24;
    *word = value;
  }
  u64 used() const { return cursor - begin; }
  void clear() { cursor = begin; }
};

struct Ours {
  UndoLog& log;
  u64 memory;

  template <typename T>
  void store(T* at, T value) {
    T* word = hidden(at);
    if (!log.save_value<T>(address_of(word))) {
      std::abort();
    }
    *word = value;
  }
  u64 used() const { return log.used(); }
  void clear() { log.commit(); }
};

u8 memory[1 << 16];
constexpr u64 word_count = sizeof memory / 8;

u64* words() {
  return reinterpret_cast<u64*>(memory);
}

// Typical regions; each returns the bytes it has stored.

template <typename T>
u64 fill(auto& log) {
  auto* to = reinterpret_cast<T*>(memory);
  for (u64 i = 0; i < sizeof memory / sizeof(T); ++i) {
    log.store(&to[i], static_cast<T>(i));
  }
  return sizeof memory;
}

u64 fill_down(auto& log) {
  for (u64 i = word_count; i-- != 0;) {
    log.store(&words()[i], i);
  }
  return sizeof memory;
}

struct Item {
  u32 id;
  u16 kind;
  u8 flag;
  u64 size;
  u64 next;
};

u64 records(auto& log) {
  auto* items = reinterpret_cast<Item*>(memory);
  constexpr u64 count = sizeof memory / sizeof(Item);
  for (u64 i = 0; i < count; ++i) {
    log.store(&items[i].id, static_cast<u32>(i));
    log.store(&items[i].kind, u16{3});
    log.store(&items[i].flag, u8{1});
    log.store(&items[i].size, i * 8);
    log.store(&items[i].next, i + 1);
  }
  return count * (4 + 2 + 1 + 8 + 8);
}

u64 two_arrays(auto& log) {
  for (u64 i = 0; i < word_count / 2; ++i) {
    log.store(&words()[i], i);
    log.store(&words()[word_count / 2 + i], i);
  }
  return sizeof memory;
}

u64 counters(auto& log) {
  for (u64 i = 0; i < word_count; ++i) {
    log.store(&words()[i % 3], i);
  }
  return sizeof memory;
}

u64 small_buffer_again_and_again(auto& log) {
  for (u64 pass = 0; pass < word_count / 256; ++pass) {
    for (u64 i = 0; i < 256; ++i) {
      log.store(&words()[i], i + pass);
    }
  }
  return sizeof memory;
}

u64 scattered(auto& log, u64 span) {
  u64 random = 88172645463325252;
  for (u64 i = 0; i < word_count; ++i) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    log.store(&words()[random % span], i);
  }
  return sizeof memory;
}

// As after a region so large that the log's memory was given back.
template <class Log, class Region>
double fresh_time_of(Log& log, void* log_memory, Region region) {
  madvise(log_memory, log_size, MADV_DONTNEED);
  const double begin = now_ns();
  region(log);
  const double time = now_ns() - begin;
  log.clear();
  return time;
}

template <class Log, class Region>
double time_of(Log& log, Region region) {
  const double begin = now_ns();
  for (int i = 0; i < 4; ++i) {
    region(log);
    log.clear();
  }
  return (now_ns() - begin) / 4;
}

template <class Log, class Region>
double growth_of(Log& log, Region region) {
  const u64 stored = region(log);
  const double growth = static_cast<double>(log.used()) / static_cast<double>(stored);
  log.clear();
  return growth;
}

template <class Region>
void compare(const char* name, Appending& appending, Ours& ours, Region region) {
  Plain plain;
  std::vector<double> times[5];
  for (int round = 0; round < rounds; ++round) {
    times[0].push_back(time_of(plain, region));
    times[1].push_back(time_of(appending, region));
    times[2].push_back(time_of(ours, region));
    times[3].push_back(fresh_time_of(appending, pointer_to<void>(appending.begin), region));
    times[4].push_back(fresh_time_of(ours, pointer_to<void>(ours.memory), region));
  }
  const double base = median(times[0]);
  std::printf("%-24s %8.1f %9.2f %8.2f %9.2f %8.2f %9.2f %8.2f\n", name, base / 1000,
              median(times[1]) / base, median(times[2]) / base, median(times[3]) / base,
              median(times[4]) / base, growth_of(appending, region), growth_of(ours, region));
}

void show_growth(u64 log_memory) {
  UndoLog log;
  log.attach(log_memory, log_size);
  Ours ours{log, log_memory};
  void* more = mmap(nullptr, log_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  Appending appending{address_of(more), address_of(more)};
  std::printf("\n%-24s %8s %18s %18s %18s\n", "64 KiB of stores", "", "time, x plain",
              "on fresh memory", "log bytes per byte");
  std::printf("%-24s %8s %9s %8s %9s %8s %9s %8s\n", "", "plain us", "appending", "ours",
              "appending", "ours", "appending", "ours");
  const auto row = [&](const char* name, auto region) { compare(name, appending, ours, region); };
  row("fill, bytes", [](auto& l) { return fill<u8>(l); });
  row("fill, 4 bytes", [](auto& l) { return fill<u32>(l); });
  row("fill, 8 bytes", [](auto& l) { return fill<u64>(l); });
  row("fill downwards, 8 bytes", [](auto& l) { return fill_down(l); });
  row("structs, field by field", [](auto& l) { return records(l); });
  row("two arrays in turn", [](auto& l) { return two_arrays(l); });
  row("three counters", [](auto& l) { return counters(l); });
  row("2 KiB, many times", [](auto& l) { return small_buffer_again_and_again(l); });
  row("random words of 1 KiB", [](auto& l) { return scattered(l, 128); });
  row("random words of 64 KiB", [](auto& l) { return scattered(l, word_count); });
  munmap(more, log_size);
}

template <class Log>
double stores(Log& log, u64 count) {
  const double begin = now_ns();
  for (u64 i = 0; i < count; ++i) {
    log.store(&words()[i * 7 % word_count], i);
  }
  return (now_ns() - begin) / static_cast<double>(count);
}

void show_sizes(u64 log_memory) {
  constexpr u64 record_size = 16;  // of an 8-byte store
  UndoLog log;
  log.attach(log_memory, log_size);
  Ours ours{log, log_memory};
  Plain plain;
  std::printf("%10s %10s %10s %8s %12s %12s\n", "log KiB", "plain ns", "logged ns", "ratio",
              "first use ns", "rollback ns");
  for (u64 kib = 4; kib <= 64 * 1024; kib *= 4) {
    const u64 count = kib * 1024 / record_size;
    const u64 repeat = std::max<u64>(1, 400'000 / count);
    std::vector<double> without;
    std::vector<double> with;
    std::vector<double> undo;
    madvise(pointer_to<void>(log_memory), log_size, MADV_DONTNEED);
    const double first = stores(ours, count);
    log.rollback();
    for (int round = 0; round < rounds; ++round) {
      double sums[3] = {};
      for (u64 i = 0; i < repeat; ++i) {
        sums[0] += stores(plain, count);
        sums[1] += stores(ours, count);
        const double begin = now_ns();
        log.rollback();
        sums[2] += (now_ns() - begin) / static_cast<double>(count);
      }
      without.push_back(sums[0] / static_cast<double>(repeat));
      with.push_back(sums[1] / static_cast<double>(repeat));
      undo.push_back(sums[2] / static_cast<double>(repeat));
    }
    std::printf("%10lu %10.2f %10.2f %8.2f %12.2f %12.2f\n", kib, median(without), median(with),
                median(with) / median(without), first, median(undo));
  }
}

}  // namespace

int main() {
  void* memory_of_log = mmap(nullptr, log_size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  show_sizes(address_of(memory_of_log));
  show_growth(address_of(memory_of_log));
  return 0;
}
