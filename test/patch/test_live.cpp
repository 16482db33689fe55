// Patching functions that other threads are executing.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "test/patch/memory_map.h"
#include "test/patch/text_fixture.h"

using namespace selfheal;
using namespace selfheal::patch;
using namespace selfheal::patch::test;
using std::chrono::steady_clock;

namespace {

using Callable = u64 (*)(u64, u64);

Function whole_function(u64 entry, const std::vector<u8>& bytes) {
  Function function;
  function.code = {entry, bytes.data(), bytes.size()};
  return function;
}

// Boundaries at bytes 3 and 4 of the entry, and a result that shows it when an instruction is run
// twice, not at all, or as something else.
const std::vector<u8> many_boundaries = from_hex(
    "48 01 f7"     // add rsi,rdi
    "57"           // push rdi
    "5a"           // pop rdx
    "48 8d 04 92"  // lea (rdx,rdx,4),rax
    "c3");
u64 expected(u64 a, u64 b) {
  return 5 * (a + b);
}

// One instruction covers the jump.
const std::vector<u8> one_instruction = from_hex("48 69 c7 39 30 00 00 48 01 f0 c3");

// With an int3 in place each call costs a signal, so not too many in a row.
constexpr unsigned calls_between_blocking = 50;

// Calls the function all the time, with a short blocking call now and then, as server threads do.
class Load {
 public:
  Load(u64 entry, unsigned threads, u64 (*model)(u64, u64), bool blocks)
      : entry_(entry), model_(model), blocks_(blocks) {
    for (unsigned i = 0; i < threads; ++i) {
      threads_.emplace_back([this, i] { run(i); });
    }
    while (started_.load() < threads) {
      std::this_thread::yield();
    }
  }
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      thread.join();
    }
    threads_.clear();
  }
  u64 wrong() const { return wrong_; }

 private:
  void run(unsigned id) {
    u64 a = id;
    ++started_;
    while (!stop_.load(std::memory_order_relaxed)) {
      for (unsigned i = 0; i < calls_between_blocking; ++i) {
        a = a * 6364136223846793005u + 1;
        const u64 b = a >> 32;
        wrong_ += reinterpret_cast<Callable>(entry_)(a, b) != model_(a, b);
      }
      if (blocks_) {
        poll(nullptr, 0, 1);
      }
    }
  }

  u64 entry_;
  u64 (*model_)(u64, u64);
  bool blocks_;
  std::atomic<bool> stop_{false};
  std::atomic<unsigned> started_{0};
  std::atomic<u64> wrong_{0};
  std::vector<std::thread> threads_;
};

// Runs and never blocks. A thread is born with all signals blocked, so wait until it is grown up.
class BusyThread {
 public:
  BusyThread() : thread_([this] { run(); }) {
    while (!running_.load()) {
      std::this_thread::yield();
    }
  }
  ~BusyThread() {
    stop_ = true;
    thread_.join();
  }
  BusyThread(const BusyThread&) = delete;
  BusyThread& operator=(const BusyThread&) = delete;

 private:
  void run() {
    running_ = true;
    while (!stop_.load(std::memory_order_relaxed)) {
    }
  }

  std::atomic<bool> running_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

bool becomes_jump(Patcher& patcher, u32 index, std::chrono::seconds limit) {
  const auto deadline = steady_clock::now() + limit;
  while (patcher.state(index) == PatchState::pending && steady_clock::now() < deadline) {
    patcher.upgrade_pending();
    poll(nullptr, 0, 1);
  }
  return patcher.state(index) == PatchState::jump;
}

}  // namespace

TEST_CASE("a function is patched and unpatched again and again while threads call it") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const TrapHandler handler(patcher);
  const Text text(many_boundaries);
  Load load(text.entry(), 4, expected, true);
  const auto deadline = steady_clock::now() + std::chrono::seconds(30);
  unsigned rounds = 0;
  unsigned jumps = 0;
  std::string writable;
  while (rounds < 15 && steady_clock::now() < deadline) {
    const Installed installed =
        patcher.install({.function = whole_function(text.entry(), many_boundaries)}, Threads::many);
    REQUIRE(installed.index == 0);
    jumps += becomes_jump(patcher, 0, std::chrono::seconds(20));
    writable += permissions_at(text.entry()) == "r-xp" ? "" : permissions_at(text.entry());
    REQUIRE(patcher.uninstall(0, Threads::many));
    REQUIRE(std::memcmp(text.bytes(), many_boundaries.data(), many_boundaries.size()) == 0);
    ++rounds;
  }
  load.stop();
  CHECK(load.wrong() == 0);
  CHECK(rounds == 15);
  CHECK(jumps == rounds);
  CHECK(writable.empty());
}

TEST_CASE(
    "a patch that covers one instruction needs no waiting, not even under threads that never "
    "block") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const TrapHandler handler(patcher);
  const Text text(one_instruction);
  Load load(
      text.entry(), 3, [](u64 a, u64 b) { return a * 12345 + b; }, false);
  for (unsigned round = 0; round < 50; ++round) {
    const Installed installed =
        patcher.install({.function = whole_function(text.entry(), one_instruction)}, Threads::many);
    REQUIRE(installed.index == 0);
    REQUIRE(patcher.state(0) == PatchState::jump);
    REQUIRE(patcher.uninstall(0, Threads::many));
  }
  load.stop();
  CHECK(load.wrong() == 0);
}

TEST_CASE("while a thread never blocks the int3 stays, and works") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const TrapHandler handler(patcher);
  const Text text(many_boundaries);
  const u64 hits = TrapHandler::hits();
  {
    BusyThread busy;
    REQUIRE(
        patcher.install({.function = whole_function(text.entry(), many_boundaries)}, Threads::many)
            .index == 0);
    CHECK(patcher.upgrade_pending() == 1);
    CHECK(patcher.state(0) == PatchState::pending);
    CHECK(*text.bytes() == 0xcc);
    CHECK(reinterpret_cast<Callable>(text.entry())(2, 3) == 25);
    u8 buffer[16];
    patcher.original_bytes(text.entry(), buffer, many_boundaries.size());
    CHECK(std::memcmp(buffer, many_boundaries.data(), many_boundaries.size()) == 0);
  }
  CHECK(TrapHandler::hits() == hits + 1);
  CHECK(becomes_jump(patcher, 0, std::chrono::seconds(20)));
  CHECK(reinterpret_cast<Callable>(text.entry())(2, 3) == 25);
  CHECK(TrapHandler::hits() == hits + 1);
}

TEST_CASE("a thread interrupted inside the entry by a signal keeps the int3 until it has left") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const TrapHandler handler(patcher);
  // How a test gets a thread there for certain: the entry is
  //   0: mov edi,eax   2: ud2   4: nop   5: add rsi,rax; ret
  // and the SIGILL handler, which skips the ud2 and so returns to byte 4, blocks.
  const std::vector<u8> code = from_hex("89 f8 0f 0b 90 48 01 f0 c3");
  static const u64 inside = 4;
  const Text text(code);
  static int event;
  event = eventfd(0, 0);
  static std::atomic<bool> in_handler{false};
  struct sigaction action = {};
  struct sigaction before;
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t*, void* context) {
    auto& rip = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
    rip += static_cast<greg_t>(inside) - 2;
    in_handler = true;
    u64 value;
    while (read(event, &value, sizeof value) != sizeof value) {
    }
  };
  sigaction(SIGILL, &action, &before);
  u64 result = 0;
  std::thread thread([&] { result = reinterpret_cast<Callable>(text.entry())(2, 3); });
  while (!in_handler.load()) {
    std::this_thread::yield();
  }

  // The planner refuses such a function; what is under test is whether the thread is seen.
  Grace grace;
  REQUIRE(grace.begin());
  const Range entry_inside[] = {{text.entry() + 1, text.entry() + 4}};
  const Range elsewhere[] = {{text.entry() + 0x1000, text.entry() + 0x1004}};
  Grace other;
  REQUIRE(other.begin());
  const auto deadline = steady_clock::now() + std::chrono::seconds(20);
  while (!other.poll(elsewhere) && steady_clock::now() < deadline) {
    poll(nullptr, 0, 1);
  }
  REQUIRE(other.unseen() == 0);  // it is blocked in read() now
  CHECK_FALSE(grace.poll(entry_inside));
  CHECK(grace.unseen() == 1);

  const u64 one = 1;
  REQUIRE(write(event, &one, sizeof one) == sizeof one);
  thread.join();
  CHECK(result == 5);
  // A joined thread may be listed a moment longer.
  const auto gone_by = steady_clock::now() + std::chrono::seconds(20);
  while (!grace.poll(entry_inside) && steady_clock::now() < gone_by) {
    poll(nullptr, 0, 1);
  }
  CHECK(grace.unseen() == 0);
  sigaction(SIGILL, &before, nullptr);
  close(event);
}

TEST_CASE("a thread that waits in a system call inside the entry is seen there") {
  // xor eax,eax; syscall (read); <- byte 4: ret
  const Text text(from_hex("31 c0 0f 05 c3"));
  const int event = eventfd(0, 0);
  u64 value = 0;
  std::thread thread([&] {
    reinterpret_cast<long (*)(int, u64*, u64)>(text.entry())(event, &value, sizeof value);
  });
  const Range inside[] = {{text.entry() + 1, text.entry() + 4}};
  const Range elsewhere[] = {{text.entry() + 5, text.entry() + 8}};
  Grace first;
  Grace second;
  REQUIRE(first.begin());
  REQUIRE(second.begin());
  const auto deadline = steady_clock::now() + std::chrono::seconds(20);
  while (!second.poll(elsewhere) && steady_clock::now() < deadline) {
    poll(nullptr, 0, 1);
  }
  REQUIRE(second.unseen() == 0);
  CHECK_FALSE(first.poll(inside));
  const u64 one = 1;
  REQUIRE(write(event, &one, sizeof one) == sizeof one);
  thread.join();
  CHECK(first.poll(inside));
  close(event);
}

TEST_CASE("a thread that waits for its vfork child is not believed") {
  // The child runs on our memory, and may stand anywhere.
  int to_child[2];
  int from_child[2];
  REQUIRE(pipe(to_child) == 0);
  REQUIRE(pipe(from_child) == 0);
  std::thread thread([&] {
    const pid_t child = vfork();
    if (child == 0) {
      char byte = 'x';
      _exit(write(from_child[1], &byte, 1) == 1 && read(to_child[0], &byte, 1) == 1 ? 0 : 1);
    }
    waitpid(child, nullptr, 0);
  });
  char byte = 0;
  REQUIRE(read(from_child[0], &byte, 1) == 1);
  const Range nowhere[] = {{1, 4}};
  Grace grace;
  REQUIRE(grace.begin());
  for (unsigned i = 0; i < 20; ++i) {
    CHECK_FALSE(grace.poll(nowhere));
  }
  CHECK(grace.unseen() == 1);
  REQUIRE(write(to_child[1], &byte, 1) == 1);
  thread.join();
  CHECK(grace.poll(nowhere));
  for (const int end : {to_child[0], to_child[1], from_child[0], from_child[1]}) {
    close(end);
  }
}

TEST_CASE("a thread with SIGTRAP blocked keeps int3 out") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const TrapHandler handler(patcher);
  const Text text(many_boundaries);
  std::atomic<int> step{0};
  std::thread blocker([&] {
    sigset_t trap;
    sigemptyset(&trap);
    sigaddset(&trap, SIGTRAP);
    pthread_sigmask(SIG_BLOCK, &trap, nullptr);
    step = 1;
    while (step.load() != 2) {
      poll(nullptr, 0, 1);
    }
  });
  while (step.load() != 1) {
    std::this_thread::yield();
  }
  const RegionSpec spec = {.function = whole_function(text.entry(), many_boundaries)};
  const Installed refused = patcher.install(spec, Threads::many);
  CHECK(refused.index == -1);
  CHECK(refused.refusal == Refusal::trap_blocked);
  CHECK(std::memcmp(text.bytes(), many_boundaries.data(), many_boundaries.size()) == 0);
  step = 2;
  blocker.join();
  CHECK(patcher.install(spec, Threads::many).index == 0);
}

TEST_CASE("without /proc nothing is patched under other threads") {
  if (geteuid() != 0) {
    return;
  }
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const Text text(many_boundaries);
  const int result = in_child([&] {
    if (chroot("/proc/self/fdinfo") != 0) {
      return 2;
    }
    const RegionSpec spec = {.function = whole_function(text.entry(), many_boundaries)};
    const Installed refused = patcher.install(spec, Threads::many);
    if (refused.index != -1 || refused.refusal != Refusal::threads_unknown) {
      return 3;
    }
    return patcher.install(spec, Threads::one).how == How::jump &&
                   reinterpret_cast<Callable>(text.entry())(1, 1) == 10
               ? 0
               : 4;
  });
  CHECK(result == 0);
}

TEST_CASE("a fork child of a threaded process finishes what was pending") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const TrapHandler handler(patcher);
  const Text text(many_boundaries);
  BusyThread busy;
  REQUIRE(
      patcher.install({.function = whole_function(text.entry(), many_boundaries)}, Threads::many)
          .index == 0);
  REQUIRE(patcher.state(0) == PatchState::pending);
  const int result = in_child([&] {
    patcher.after_fork_in_child();
    return patcher.state(0) == PatchState::jump && *text.bytes() == 0xe9 &&
                   reinterpret_cast<Callable>(text.entry())(2, 3) == 25
               ? 0
               : 1;
  });
  CHECK(result == 0);
  CHECK(*text.bytes() == 0xcc);
}

TEST_CASE("threads that patch at once do not get into each other's way") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const TrapHandler handler(patcher);
  constexpr unsigned functions = 8;
  std::vector<u8> code;
  for (unsigned i = 0; i < functions; ++i) {
    code.insert(code.end(), many_boundaries.begin(), many_boundaries.end());
    code.insert(code.end(), 16 - many_boundaries.size(), 0x90);
  }
  const Text text(code);
  std::atomic<unsigned> busy{0};
  std::atomic<unsigned> failed{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const auto deadline = steady_clock::now() + std::chrono::milliseconds(600);
      for (unsigned round = 0; steady_clock::now() < deadline; ++round) {
        const u64 entry = text.entry() + 16 * ((round + t) % functions);
        const Installed installed =
            patcher.install({.function = whole_function(entry, many_boundaries)}, Threads::many);
        busy += installed.refusal == Refusal::busy;
        failed += reinterpret_cast<Callable>(entry)(round, t) != expected(round, t);
        if (installed.index >= 0 && round % 2 == 0) {
          patcher.uninstall(static_cast<u32>(installed.index), Threads::many);
        }
        patcher.upgrade_pending();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(failed.load() == 0);
  for (u32 i = 0; i < patcher.count(); ++i) {
    REQUIRE(patcher.uninstall(i, Threads::one));
  }
  CHECK(std::memcmp(text.bytes(), code.data(), code.size()) == 0);
}
