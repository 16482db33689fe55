// rollback_subject FOLDER SEED CALLS [skip]: calls `region` that often, every other time armed to
// fault. With `skip` the faulting calls are left out: what is printed must be the same.
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <set>
#include <sys/mman.h>
#include <unistd.h>

#include "test/integration/rollback/subject.h"

namespace {

u64 countdown = 0;
volatile u64 zero = 0;

[[gnu::noinline]] void fault() {
  switch (world.numbers[1] % 6) {
    case 0:
      *reinterpret_cast<volatile u64*>(zero) = 1;
      break;
    case 1:
      static_cast<void>(*reinterpret_cast<volatile u64*>(zero + 24));
      break;
    case 2:
      *reinterpret_cast<volatile u64*>(zero + 0x10'0000) = 1;
      break;
    case 3:
      const_cast<char*>(endless)[4096] = 1;
      break;
    case 4:
      world.numbers[0] = world.numbers[1] / zero;
      break;
    default:
      asm volatile("std\n\tud2");
  }
}

long resident_kib() {
  long pages = 0;
  FILE* file = std::fopen("/proc/self/statm", "re");
  if (std::fscanf(file, "%*s %ld", &pages) != 1) {
    std::abort();
  }
  std::fclose(file);
  return pages * 4;
}

u64 heap_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::multiset<std::string> lines_of(const std::string& text) {
  std::multiset<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.insert(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

void show_difference(const std::string& before, const std::string& after) {
  const auto old_lines = lines_of(before);
  const auto new_lines = lines_of(after);
  for (const std::string& line : old_lines) {
    if (new_lines.count(line) == 0) {
      std::fprintf(stderr, "  before: %s\n", line.c_str());
    }
  }
  for (const std::string& line : new_lines) {
    if (old_lines.count(line) == 0) {
      std::fprintf(stderr, "  after:  %s\n", line.c_str());
    }
  }
}

}  // namespace

void arm(u64 n) {
  countdown = n;
}

u64 ticks_left() {
  return countdown;
}

void tick() {
  if (countdown != 0 && --countdown == 0) {
    fault();
  }
}

extern "C" [[gnu::noinline]] long region(u64 seed) {
  Random random(seed);
  const u64 steps = 5 + random.below(40);
  for (u64 i = 0; i < steps; ++i) {
    switch (random.below(4)) {
      case 0:
        memory_operation(random);
        break;
      case 1:
        library_operation(random);
        break;
      case 2:
        system_operation(random);
        break;
      default:
        lock_operation(random);
    }
    tick();
  }
  return 1;
}

int main(int count, char** words) {
  if (count < 4) {
    return 2;
  }
  const u64 seed = std::strtoull(words[2], nullptr, 0);
  const u64 calls = std::strtoull(words[3], nullptr, 0);
  const bool skip = count > 4;
  setvbuf(stdout, nullptr, _IOLBF, 4096);
  make_world(words[1]);
  Random random(seed);
  u64 heals = 0;
  u64 unfaulted = 0;
  long resident = 0;
  u64 heap = 0;
  for (u64 call = 0; call < calls; ++call) {
    const u64 what = random.next();
    const u64 when = 1 + random.below(random.below(3) == 0 ? 400 : 40);
    // The same call twice: armed, and taken back; then to its end.
    if (!skip) {
      const std::string before = observe(false);
      arm(when);
      const long result = region(what);
      arm(0);
      if (result > 0) {
        ++unfaulted;
      } else {
        ++heals;
        const std::string after = observe(false);
        if (before != after) {
          std::fprintf(stderr, "call %lu, fault at tick %lu: not as before\n", call, when);
          show_difference(before, after);
          return 1;
        }
        region(what);
      }
    } else {
      region(what);
    }
    if (call % 10 == 9) {
      const std::string contents = observe(true);
      u64 digest = 0;
      for (const char c : contents) {
        digest = digest * 1099511628211 + static_cast<u8>(c);
      }
      std::printf("%lu %016lx\n", call, digest);
      if (std::getenv("SUBJECT_VERBOSE") != nullptr) {
        std::printf("%s", contents.c_str());
      }
    }
    if (call == calls / 3) {
      resident = resident_kib();
      heap = heap_in_use();
    }
  }
  std::fprintf(stderr, "%lu heals, %lu without; resident %+ld KiB, heap %+ld bytes\n", heals,
               unfaulted, resident_kib() - resident, static_cast<long>(heap_in_use() - heap));
  return 0;
}
