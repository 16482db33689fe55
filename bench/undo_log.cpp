// What a logged store costs against a plain one, by how far the log has grown, and what rolling it
// back costs. Prints ratios of medians measured in turn in one run; no targets, no pass or fail.
#include "emulator/undo_log.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <time.h>
#include <vector>

namespace {

using selfheal::address_of;
using selfheal::u64;
using selfheal::emulator::UndoLog;

constexpr u64 record_size = 24;  // of an 8-byte store
constexpr u64 target_words = 4096;
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

// The address is hidden from the compiler, as it is from an engine.
inline u64* word_of(u64* target, u64 i) {
  u64* word = &target[i * 7 % target_words];
  asm volatile("" : "+r"(word));
  return word;
}

double plain_stores(u64* target, u64 count) {
  const double begin = now_ns();
  for (u64 i = 0; i < count; ++i) {
    *word_of(target, i) = i;
  }
  return (now_ns() - begin) / static_cast<double>(count);
}

double logged_stores(UndoLog& log, u64* target, u64 count) {
  const double begin = now_ns();
  for (u64 i = 0; i < count; ++i) {
    u64* word = word_of(target, i);
    if (!log.save_value<u64>(address_of(word))) {
      std::abort();
    }
    *word = i;
  }
  return (now_ns() - begin) / static_cast<double>(count);
}

}  // namespace

int main() {
  constexpr u64 log_size = u64{68} << 20;
  void* memory = mmap(nullptr, log_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  std::vector<u64> target(target_words);
  UndoLog log;
  log.attach(address_of(memory), log_size);
  std::printf("%10s %10s %10s %8s %12s %12s\n", "log KiB", "plain ns", "logged ns", "ratio",
              "first use ns", "rollback ns");
  for (u64 kib = 4; kib <= 64 * 1024; kib *= 4) {
    const u64 count = kib * 1024 / record_size;
    const u64 repeat = std::max<u64>(1, 400'000 / count);
    std::vector<double> plain;
    std::vector<double> logged;
    std::vector<double> undo;
    madvise(memory, log_size, MADV_DONTNEED);
    const double first = logged_stores(log, target.data(), count);
    log.rollback();
    for (int round = 0; round < rounds; ++round) {
      double stores = 0;
      double saves = 0;
      double back = 0;
      for (u64 i = 0; i < repeat; ++i) {
        stores += plain_stores(target.data(), count);
        saves += logged_stores(log, target.data(), count);
        const double begin = now_ns();
        log.rollback();
        back += (now_ns() - begin) / static_cast<double>(count);
      }
      plain.push_back(stores / static_cast<double>(repeat));
      logged.push_back(saves / static_cast<double>(repeat));
      undo.push_back(back / static_cast<double>(repeat));
    }
    std::printf("%10lu %10.2f %10.2f %8.2f %12.2f %12.2f\n", kib, median(plain), median(logged),
                median(logged) / median(plain), first, median(undo));
  }
  return 0;
}
