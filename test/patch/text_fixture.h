// Code of a test's own making, mapped as a module's text is (private, r-x), and what a runtime
// would have to give the patcher: the thread-local enter_target and a handler for SIGTRAP.
#pragma once

#include <cstring>
#include <signal.h>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

#include "lib/base/types.h"
#include "lib/patch/patcher.h"

namespace selfheal::patch::test {

inline std::vector<u8> from_hex(const std::string& text) {
  std::vector<u8> bytes;
  std::string digits;
  for (const char c : text) {
    if (c != ' ') {
      digits += c;
    }
  }
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<u8>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

inline std::string to_hex(const u8* bytes, std::size_t size) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += i != 0 ? " " : "";
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

// Pages of private r-x text with `bytes` at `offset`, int3 all around.
class Text {
 public:
  explicit Text(const std::vector<u8>& bytes, u64 offset = 0x100, u64 size = 2 * page_size,
                u64 at = 0)
      : size_(size) {
    void* map = mmap(pointer_to<void>(at), size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | (at != 0 ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    base_ = address_of(map);
    std::memset(map, 0xcc, size);
    std::memcpy(pointer_to<u8>(base_ + offset), bytes.data(), bytes.size());
    mprotect(map, size, PROT_READ | PROT_EXEC);
    entry_ = base_ + offset;
  }
  ~Text() { munmap(pointer_to<void>(base_), size_); }
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;

  u64 base() const { return base_; }
  u64 entry() const { return entry_; }
  const u8* bytes() const { return pointer_to<const u8>(entry_); }

 private:
  u64 base_;
  u64 entry_;
  u64 size_;
};

// The thread-pointer offset of `enter_target` below.
i32 enter_target_offset();

// Sets what this thread's patched entries jump to.
void set_enter_target(u64 target);

// SIGTRAP goes where `patcher` says, for the lifetime of this object.
class TrapHandler {
 public:
  explicit TrapHandler(const Patcher& patcher);
  ~TrapHandler();
  TrapHandler(const TrapHandler&) = delete;
  TrapHandler& operator=(const TrapHandler&) = delete;

  static u64 hits();

 private:
  struct sigaction before_;
};

// Runs `body` in a forked child; its result, or 128 + signal: SIGXCPU after `seconds` of its own
// processor time, SIGALRM when it waits for ten times as long.
template <typename Body>
int in_child(Body body, unsigned seconds = 20);

}  // namespace selfheal::patch::test

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

template <typename Body>
int selfheal::patch::test::in_child(Body body, unsigned seconds) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit = {seconds, seconds};
    setrlimit(RLIMIT_CPU, &limit);
    alarm(10 * seconds);
    _exit(body());
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) {
    return 254;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
