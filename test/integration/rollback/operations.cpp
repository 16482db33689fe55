// Random work of an ordinary program: memory, strings, containers, libc and zlib.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fenv.h>
#include <iterator>
#include <regex.h>
#include <time.h>
#include <utility>
#include <zlib.h>

#include "test/integration/rollback/subject.h"

namespace {

Slot& any_slot(Random& random) {
  return world.slots[random.below(slot_count)];
}

u64 any_size(Random& random) {
  return 1 + random.below(random.below(20) == 0 ? 400'000 : 3000);
}

void fill(Slot& slot, Random& random) {
  for (u64 i = 0; i + 8 <= slot.size; i += 8) {
    const u64 value = random.next();
    std::memcpy(slot.bytes + i, &value, 8);
  }
  for (u64 i = slot.size / 8 * 8; i < slot.size; ++i) {
    slot.bytes[i] = static_cast<char>(random.next());
  }
}

// jemalloc's own functions, where it is the heap; the standard ones otherwise.
template <typename Function>
Function* find(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

char* allocate_extended(u64 size) {
  static const auto mallocx = find<void*(size_t, int)>("mallocx");
  static const auto rallocx = find<void*(void*, size_t, int)>("rallocx");
  static const auto sdallocx = find<void(void*, size_t, int)>("sdallocx");
  if (mallocx == nullptr) {
    return static_cast<char*>(std::malloc(size));
  }
  void* small = mallocx(100, 0);
  tick();
  void* grown = rallocx(mallocx(size / 2 + 1, 0), size, 0);
  sdallocx(small, 100, 0);
  return static_cast<char*>(grown);
}

void renew(Slot& slot, Random& random) {
  std::free(slot.bytes);
  slot.size = any_size(random);
  switch (random.below(5)) {
    case 3:
      slot.bytes = allocate_extended(slot.size);
      break;
    case 0:
      slot.bytes = static_cast<char*>(std::malloc(slot.size));
      break;
    case 1:
      slot.bytes = static_cast<char*>(std::calloc(1, slot.size));
      break;
    case 2: {
      void* aligned = nullptr;
      if (posix_memalign(&aligned, 64, slot.size) != 0) {
        std::abort();
      }
      slot.bytes = static_cast<char*>(aligned);
      break;
    }
    default:
      slot.size = (slot.size + 255) & ~u64{255};
      slot.bytes = static_cast<char*>(std::aligned_alloc(256, slot.size));
  }
  tick();
  fill(slot, random);
}

void resize(Slot& slot, Random& random) {
  const u64 before = slot.bytes != nullptr ? slot.size : 0;
  slot.size = any_size(random);
  slot.bytes = static_cast<char*>(std::realloc(slot.bytes, slot.size));
  tick();
  for (u64 i = before; i < slot.size; ++i) {
    slot.bytes[i] = static_cast<char>(i * 31);
  }
}

int compare_numbers(const void* a, const void* b) {
  tick();
  u64 x;
  u64 y;
  std::memcpy(&x, a, 8);
  std::memcpy(&y, b, 8);
  return x < y ? -1 : x > y;
}

void* tick_alloc(void*, unsigned count, unsigned size) {
  tick();
  return std::calloc(count, size);
}

void tick_free(void*, void* memory) {
  tick();
  std::free(memory);
}

void compress_slot(Slot& slot, Random& random) {
  if (slot.bytes == nullptr) {
    return;
  }
  z_stream stream{};
  stream.zalloc = tick_alloc;
  stream.zfree = tick_free;
  deflateInit(&stream, static_cast<int>(1 + random.below(6)));
  const u64 bound = deflateBound(&stream, slot.size);
  auto* packed = static_cast<u8*>(std::malloc(bound));
  stream.next_in = reinterpret_cast<u8*>(slot.bytes);
  stream.avail_in = static_cast<unsigned>(slot.size);
  stream.next_out = packed;
  stream.avail_out = static_cast<unsigned>(bound);
  deflate(&stream, Z_FINISH);
  tick();
  deflateEnd(&stream);
  const u64 size = bound - stream.avail_out;
  std::free(slot.bytes);
  slot.bytes = static_cast<char*>(std::realloc(packed, size));
  slot.size = size;
}

void print(Random& random) {
  char* to = world.text + random.below(2000);
  std::snprintf(to, 400, "%s %.17g %d %08lx %a %5.3Lf", "printed", std::ldexp(1.37, 100),
                static_cast<int>(random.below(1000)), random.next(), 0.1, 3.25L);
  tick();
  const double parsed = std::strtod(to + 8, nullptr);
  std::memcpy(&world.numbers[random.below(256)], &parsed, 8);
}

void match(Random& random) {
  regex_t expression;
  if (regcomp(&expression, "([a-z]+)[ ]+([0-9.]+)(e[+-]?[0-9]+)?", REG_EXTENDED) != 0) {
    std::abort();
  }
  tick();
  regmatch_t groups[4];
  world.numbers[random.below(256)] =
      regexec(&expression, world.text, 4, groups, 0) == 0 ? static_cast<u64>(groups[2].rm_so) : 1;
  regfree(&expression);
}

void words(Random& random) {
  std::string key = "key number " + std::to_string(random.below(60));
  if (random.below(3) == 0) {
    world.words.erase(key);
  } else {
    world.words[key] += std::string(random.below(200), static_cast<char>('a' + random.below(26)));
    tick();
    if (world.words[key].size() > 1000) {
      world.words[key].clear();
      world.words[key].shrink_to_fit();
    }
  }
}

void nodes(Random& random) {
  for (u64 i = random.below(6); i != 0; --i) {
    world.list = new Node{world.list, random.next()};
    tick();
  }
  for (u64 i = random.below(6); i != 0 && world.list != nullptr; --i) {
    delete std::exchange(world.list, world.list->next);
  }
}

void read_lines(Random& random) {
  char* text = nullptr;
  size_t capacity = 0;
  if (random.below(5) == 0) {
    std::fseek(world.lines, static_cast<long>(random.below(9000)), SEEK_SET);
  }
  for (u64 i = random.below(8); i != 0; --i) {
    const ssize_t got = getline(&text, &capacity, world.lines);
    tick();
    if (got < 0) {
      std::rewind(world.lines);
    } else {
      std::memcpy(world.text + 2500, text, std::min<u64>(static_cast<u64>(got), 500));
    }
  }
  std::free(text);
}

void times(Random& random) {
  const time_t when = static_cast<time_t>(random.below(2'000'000'000));
  struct tm parts {};
  gmtime_r(&when, &parts);
  tick();
  strftime(world.text + 3200, 200, "%Y-%m-%d %H:%M:%S %A %j", &parts);
  setenv("SUBJECT_VARIABLE", world.text + 3200, 1);
  tick();
  world.numbers[random.below(256)] = std::strlen(std::getenv("SUBJECT_VARIABLE"));
  char* rest = nullptr;
  char copy[200];
  std::memcpy(copy, world.text + 3200, sizeof copy);
  for (char* part = strtok_r(copy, "- :", &rest); part != nullptr;
       part = strtok_r(nullptr, "- :", &rest)) {
    world.numbers[random.below(256)] += std::strtoul(part, nullptr, 10);
  }
}

// Faults in the middle of libc's own loops.
void run_off_the_end(u64 how) {
  switch (how % 6) {
    case 0:
      std::strcpy(world.text, endless);
      return;
    case 1:
      std::memcpy(world.numbers, endless + 2000, sizeof world.numbers);
      return;
    case 2:
      std::strcat(world.text + 100, endless);
      return;
    case 3:
      std::snprintf(world.text, sizeof world.text, "%d %s", 5, endless);
      return;
    case 4:
      world.words[endless] = "never";
      return;
    default:
      world.slots[0].bytes = strdup(endless);
  }
}

}  // namespace

void memory_operation(Random& random) {
  Slot& slot = any_slot(random);
  switch (random.below(6)) {
    case 0:
      std::free(std::exchange(slot.bytes, nullptr));
      slot.size = 0;
      break;
    case 1:
      return resize(slot, random);
    case 2:
      return nodes(random);
    case 3: {
      Slot& other = any_slot(random);
      const u64 size = std::min(slot.size, other.size);
      if (size != 0) {
        std::memmove(slot.bytes, other.bytes, size);
        std::memset(slot.bytes + size / 2, 0x33, size - size / 2);
      }
      break;
    }
    default:
      return renew(slot, random);
  }
}

void library_operation(Random& random) {
  switch (random.below(10)) {
    case 0:
      std::qsort(world.numbers, 20 + random.below(200), 8, compare_numbers);
      break;
    case 1:
      return compress_slot(any_slot(random), random);
    case 2:
      return match(random);
    case 3:
    case 4:
      return words(random);
    case 5:
      return read_lines(random);
    case 6:
      return times(random);
    case 7:
      world.numbers[random.below(256)] += static_cast<u64>(std::rand());
      fesetround(random.below(2) == 0 ? FE_UPWARD : FE_DOWNWARD);
      tick();
      fesetround(FE_TONEAREST);
      break;
    case 8:
      if (const u64 how = random.next(); ticks_left() != 0 && how % 4 == 0) {
        return run_off_the_end(how / 4);
      }
      break;
    default:
      return print(random);
  }
}
