// What the engine costs, beside the same function run natively: ratios, medians of a few rounds.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "test/emulator/host.h"

using namespace selfheal;
using namespace selfheal::emulator;

extern "C" {
u64 guest_empty();
u64 guest_collatz(u64);
u64 guest_fibonacci(u64);
u64 guest_fill(u64*, u64);
u64 guest_sha_like(u8*, u64);
u64 guest_vectors(u32*, const u32*, u64);
}

namespace {

// The thread's processor time: what others do on the machine is not ours to count.
double now() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// Nanoseconds a call: the median of nine rounds.
template <typename F>
double median(unsigned calls, F&& f) {
  std::vector<double> rounds;
  for (int r = 0; r < 9; ++r) {
    const double begin = now();
    for (unsigned i = 0; i < calls; ++i) {
      f();
    }
    rounds.push_back((now() - begin) / calls);
  }
  std::nth_element(rounds.begin(), rounds.begin() + 4, rounds.end());
  return rounds[4];
}

template <typename... A>
void row(const char* name, unsigned calls, u64 (*f)(A...), A... arguments) {
  u64 (*volatile native)(A...) = f;
  const double outside = median(calls, [&] { native(arguments...); });
  const double inside = median(calls, [&] { host::call(f, arguments...); });
  const u64 instructions = host::session.outcome.instructions;
  std::printf(
      "%-28s native %10.1f ns   engine %12.1f ns   x %7.1f   %8llu instructions, %.2f ns each\n",
      name, outside, inside, inside / outside, static_cast<unsigned long long>(instructions),
      inside / static_cast<double>(instructions));
}

}  // namespace

int main() {
  host::start(~u64{0} >> 1);
  std::vector<u64> words(4096);
  std::vector<u8> bytes(4096);
  std::vector<u32> a(4096);
  std::vector<u32> b(4096);
  row("enter + leave (empty)", 100000, guest_empty);
  row("integer loop", 1000, guest_collatz, u64{27});
  row("calls and returns", 20, guest_fibonacci, u64{15});
  row("4096 logged stores", 50, guest_fill, words.data(), u64{4096});
  row("hash of 4 KiB", 50, guest_sha_like, bytes.data(), u64{4096});
  row("vector loop", 50, guest_vectors, a.data(), static_cast<const u32*>(b.data()), u64{4096});
}
