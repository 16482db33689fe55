// Both ways to write to text: what they change, that nothing is ever writable and executable at
// once, and that they work where mprotect is forbidden.
#include <atomic>
#include <catch2/catch.hpp>
#include <dirent.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <thread>

#include "lib/patch/text_writer.h"
#include "test/patch/memory_map.h"
#include "test/patch/text_fixture.h"

using namespace selfheal;
using namespace selfheal::patch;
using namespace selfheal::patch::test;

namespace {

#ifndef PR_SET_MDWE
constexpr int PR_SET_MDWE = 65;
#endif
constexpr unsigned long mdwe_refuse_exec_gain = 1;

using WriteFunction = bool (*)(u64, const u8*, u64);

struct Way {
  const char* name;
  WriteFunction write;
};

constexpr Way ways[] = {{"proc_mem", write_through_proc_mem}, {"memfd", write_through_memfd}};

// mov $value,%eax; ret
std::vector<u8> returning(u8 value) {
  return {0xb8, value, 0, 0, 0, 0xc3};
}

int call(u64 entry) {
  return reinterpret_cast<int (*)()>(entry)();
}

unsigned open_descriptors() {
  unsigned count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) {
    ++count;
  }
  closedir(directory);
  return count;
}

// What systemd 252 installs for MemoryDenyWriteExecute=yes (seccomp-util.c): mmap with W and X, and
// mprotect or pkey_mprotect with X, are EPERM.
bool deny_write_execute() {
  const auto load = [](u32 offset) {
    return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
  };
  constexpr u32 number = offsetof(seccomp_data, nr);
  constexpr u32 third = offsetof(seccomp_data, args[2]);
  constexpr u32 write_execute = PROT_WRITE | PROT_EXEC;
  sock_filter program[] = {
      load(number),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pkey_mprotect, 3, 6),
      load(third),  // mmap
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, write_execute),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, write_execute, 2, 3),
      load(third),  // mprotect
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {sizeof program / sizeof program[0], program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// Patches through `write` and through the patcher; 0 when all worked.
int patch_in_sandbox(WriteFunction write, u64 text_entry, u64 function_entry) {
  const std::vector<u8> two = returning(2);
  if (!write(text_entry, two.data(), two.size()) || call(text_entry) != 2) {
    return 2;
  }
  static Patcher patcher;
  patcher.start(enter_target_offset());
  Function function;
  function.code = {function_entry, pointer_to<const u8>(function_entry), 6};
  const Installed installed = patcher.install({.function = function}, Threads::one);
  if (installed.how != How::jump || call(function_entry) != 1) {
    return 3;
  }
  if (!patcher.uninstall(static_cast<u32>(installed.index), Threads::one) ||
      call(function_entry) != 1) {
    return 4;
  }
  return writable_and_executable().empty() ? 0 : 5;
}

bool make_executable_fails(u64 page) {
  return mprotect(pointer_to<void>(page_down(page)), page_size,
                  PROT_READ | PROT_WRITE | PROT_EXEC) != 0;
}

}  // namespace

TEST_CASE("both writers change what is executed, and nothing else") {
  for (const Way& way : ways) {
    INFO(way.name);
    const Text text(returning(1));
    REQUIRE(call(text.entry()) == 1);
    const std::vector<u8> two = returning(2);
    const unsigned descriptors = open_descriptors();
    REQUIRE(way.write(text.entry(), two.data(), two.size()));
    CHECK(call(text.entry()) == 2);
    CHECK(open_descriptors() == descriptors);
    CHECK(permissions_at(text.entry()) == "r-xp");
    for (u64 at = text.base(); at < text.base() + 2 * page_size; ++at) {
      if (at < text.entry() || at >= text.entry() + two.size()) {
        REQUIRE(*pointer_to<u8>(at) == 0xcc);
      }
    }
  }
}

TEST_CASE("both writers write across a page's end") {
  for (const Way& way : ways) {
    INFO(way.name);
    const Text text(returning(1), page_size - 3);
    const std::vector<u8> three = returning(3);
    REQUIRE(way.write(text.entry(), three.data(), three.size()));
    CHECK(call(text.entry()) == 3);
    const std::vector<u8> four = returning(4);
    REQUIRE(way.write(text.entry(), four.data(), four.size()));
    CHECK(call(text.entry()) == 4);
  }
}

TEST_CASE("the writers follow each other on the same page") {
  const Text text(returning(1));
  for (u8 i = 2; i < 10; ++i) {
    const std::vector<u8> code = returning(i);
    REQUIRE(ways[i % 2].write(text.entry(), code.data(), code.size()));
    CHECK(call(text.entry()) == i);
  }
}

TEST_CASE("writing where nothing is mapped fails") {
  u64 nowhere = 0;
  {
    const Text text(returning(1));
    nowhere = text.entry();
  }
  const u8 byte = 0x90;
  CHECK_FALSE(write_through_proc_mem(nowhere, &byte, 1));
  CHECK_FALSE(write_through_memfd(nowhere, &byte, 1));
  CHECK(permissions_at(nowhere).empty());
}

TEST_CASE("without /proc the second writer takes over") {
  if (geteuid() != 0) {
    return;  // chroot needs root
  }
  const Text text(returning(1));
  const std::vector<u8> two = returning(2);
  CHECK(write_text(text.entry(), two.data(), two.size()) == Writer::proc_mem);
  const int result = in_child([&] {
    const std::vector<u8> three = returning(3);
    if (chroot("/proc/self/fdinfo") != 0) {  // a folder without a `proc`
      return 2;
    }
    if (write_through_proc_mem(text.entry(), three.data(), three.size())) {
      return 3;
    }
    return write_text(text.entry(), three.data(), three.size()) == Writer::memfd &&
                   call(text.entry()) == 3
               ? 0
               : 4;
  });
  CHECK(result == 0);
  CHECK(call(text.entry()) == 2);
}

TEST_CASE("a file called /proc/self/mem that is none is not believed") {
  if (geteuid() != 0) {
    return;
  }
  char folder[] = "/tmp/selfheal-proc-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  const std::string root = folder;
  REQUIRE(
      std::system(("mkdir -p " + root + "/proc/self && truncate -s 1M " + root + "/proc/self/mem")
                      .c_str()) == 0);
  const Text text(returning(1), 0x100, 2 * page_size, 0x20000);
  const int result = in_child([&] {
    const std::vector<u8> two = returning(2);
    return chroot(folder) == 0 && !write_through_proc_mem(text.entry(), two.data(), two.size()) &&
                   call(text.entry()) == 1
               ? 0
               : 2;
  });
  CHECK(result == 0);
  CHECK(std::system(("rm -r " + root).c_str()) == 0);
}

TEST_CASE("a fork child writes to its own memory only") {
  const Text text(returning(1));
  for (const Way& way : ways) {
    INFO(way.name);
    const int result = in_child([&] {
      const std::vector<u8> two = returning(2);
      return way.write(text.entry(), two.data(), two.size()) && call(text.entry()) == 2 ? 0 : 1;
    });
    CHECK(result == 0);
    CHECK(call(text.entry()) == 1);
  }
}

TEST_CASE("both writers and the patcher work where the kernel denies write + execute") {
  for (const Way& way : ways) {
    INFO(way.name);
    const Text text(returning(1));
    const Text function(returning(1));
    const int by_prctl = in_child([&] {
      if (prctl(PR_SET_MDWE, mdwe_refuse_exec_gain, 0, 0, 0) != 0) {
        return errno == EINVAL ? 77 : 1;  // before Linux 6.3
      }
      return make_executable_fails(text.entry())
                 ? patch_in_sandbox(way.write, text.entry(), function.entry())
                 : 6;
    });
    CHECK((by_prctl == 0 || by_prctl == 77));
    const int by_seccomp = in_child([&] {
      if (!deny_write_execute()) {
        return 1;
      }
      return make_executable_fails(text.entry())
                 ? patch_in_sandbox(way.write, text.entry(), function.entry())
                 : 6;
    });
    CHECK(by_seccomp == 0);
  }
}

TEST_CASE("at no moment is a page writable and executable, or text writable") {
  const Text text(returning(1));
  std::atomic<bool> stop{false};
  std::atomic<unsigned> looks{0};
  std::string bad;
  std::thread watcher([&] {
    while (!stop.load()) {
      const std::string mapping = writable_and_executable();
      const std::string permissions = permissions_at(text.entry());
      if (!mapping.empty() || permissions != "r-xp") {
        bad = mapping + permissions;
        return;
      }
      ++looks;
    }
  });
  static Patcher patcher;
  patcher.start(enter_target_offset());
  Function function;
  function.code = {text.entry(), text.bytes(), 6};
  const std::vector<u8> original(text.bytes(), text.bytes() + 6);
  function.code.bytes = original.data();
  constexpr int enough_looks = 10;  // a sanitizer's thousands of mappings take long to read
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(100);
  while (looks.load() < enough_looks && std::chrono::steady_clock::now() < deadline) {
    const Installed installed = patcher.install({.function = function}, Threads::one);
    REQUIRE(installed.how == How::jump);
    REQUIRE(call(text.entry()) == 1);
    REQUIRE(patcher.uninstall(static_cast<u32>(installed.index), Threads::one));
    REQUIRE(write_through_memfd(text.entry(), original.data(), original.size()));
    std::this_thread::sleep_for(std::chrono::microseconds(50));  // the watcher needs the same lock
  }
  stop = true;
  watcher.join();
  CHECK(bad.empty());
  CHECK(looks.load() >= enough_looks);
  CHECK(writable_and_executable().empty());
}
