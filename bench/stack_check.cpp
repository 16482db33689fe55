// What the check of the stack costs at a function's entry: the same recursion natively, through a
// checking entry, and through an entry that only goes to the native path by way of enter_target.
// Ratios in one run, medians of many short rounds; the spread is that of the rounds' middle half.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "lib/image/function.h"
#include "lib/patch/patcher.h"
#include "test/support/opaque.h"

using namespace selfheal;

namespace {

using Code = void (*)();

constinit thread_local u64 limit = 1;
constinit thread_local Code enter_target = &selfheal_enter_native;

i32 offset_of(const void* variable) {
  return static_cast<i32>(address_of(variable) - address_of(__builtin_thread_pointer()));
}

SELFHEAL_OPAQUE u64 empty(u64 value) {
  return value;
}

// Two functions, as compilers make a tree of calls out of one.
SELFHEAL_OPAQUE u64 fibonacci(u64 n);
SELFHEAL_OPAQUE u64 sum_of_two(u64 n) {
  return fibonacci(n - 1) + fibonacci(n - 2);
}
u64 fibonacci(u64 n) {
  return n < 2 ? n : sum_of_two(n);
}

// The thread's processor time: what others do on the machine is not ours to count.
double now() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

struct Times {
  double median;
  double low;
  double high;
};

// Nanoseconds a call.
Times measure(u64 (*function)(u64), u64 argument, unsigned calls_made) {
  constexpr unsigned rounds = 41;
  constexpr unsigned repeats = 200;
  std::vector<double> times;
  u64 (*volatile called)(u64) = function;
  for (unsigned round = 0; round < rounds; ++round) {
    const double begin = now();
    for (unsigned i = 0; i < repeats; ++i) {
      called(argument);
    }
    times.push_back((now() - begin) / repeats / calls_made);
  }
  std::sort(times.begin(), times.end());
  return {times[rounds / 2], times[rounds / 4], times[rounds - 1 - rounds / 4]};
}

patch::RegionSpec spec_of(const image::Function& function, i32 limit_offset) {
  patch::RegionSpec spec;
  spec.function.code = {function.start, pointer_to<const u8>(function.start), function.size};
  spec.function.gap = static_cast<u32>(-function.end() % 16);  // functions are aligned
  spec.stack_limit_offset = limit_offset;
  return spec;
}

void row(patch::Patcher& patcher, const char* name, u64 (*function)(u64), u64 argument,
         unsigned calls) {
  image::Module module;
  image::Function bounds;
  const u64 entry = address_of_function(function);
  if (!image::locate_module(entry, module) || !image::find_function(module, entry, bounds)) {
    return;
  }
  const Times native = measure(function, argument, calls);
  const patch::Installed checked =
      patcher.install(spec_of(bounds, offset_of(&limit)), patch::Threads::one);
  if (checked.index < 0) {
    std::printf("%s: %s\n", name, patch::text_of(checked.refusal));
    return;
  }
  const Times check = measure(function, argument, calls);
  patcher.install(spec_of(bounds, 0), patch::Threads::one);
  const Times detour = measure(function, argument, calls);
  patcher.uninstall(static_cast<u32>(checked.index), patch::Threads::one);
  const Times again = measure(function, argument, calls);
  const double base = std::min(native.median, again.median);
  std::printf(
      "%-22s native %5.2f ns   checked %5.2f ns (%.2f-%.2f)  x %.2f  + %.2f ns   by way of "
      "enter_target %5.2f ns  x %.2f\n",
      name, base, check.median, check.low, check.high, check.median / base, check.median - base,
      detour.median, detour.median / base);
}

}  // namespace

int main() {
  static patch::Patcher patcher;
  patcher.start(offset_of(&enter_target));
  constexpr unsigned calls_of_fibonacci_15 = 1973;
  row(patcher, "an empty function", &empty, 1, 1);
  row(patcher, "fibonacci, each call", &fibonacci, 15, calls_of_fibonacci_15);
}
