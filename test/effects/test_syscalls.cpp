#include <catch2/catch.hpp>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <string>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "emulator/syscalls.h"
#include "test/effects/call.h"

using namespace selfheal;
using namespace selfheal::emulator;
using namespace selfheal::emulator::test;

namespace {

template <typename... Arguments>
EffectResult try_syscall(GuestThread& guest, long number, Arguments... arguments) {
  constexpr u8 order[] = {rdi, rsi, rdx, r10, r8, r9};
  unsigned index = 0;
  ((guest->guest.gpr[order[index++]] = word(arguments)), ...);
  guest->guest.gpr[rax] = static_cast<u64>(number);
  return run_syscall(*guest);
}

// Every argument is a pointer or a u64, as in registers.
template <typename... Arguments>
long guest_syscall(GuestThread& guest, long number, Arguments... arguments) {
  INFO(syscall_name(static_cast<u64>(number)));
  REQUIRE(try_syscall(guest, number, arguments...) == EffectResult::done);
  return static_cast<long>(guest->guest.gpr[rax]);
}

u64 fd_word(int fd) {
  return static_cast<u32>(fd);
}

std::vector<std::string> open_descriptors() {
  std::vector<std::string> names;
  DIR* directory = opendir("/proc/self/fd");
  REQUIRE(directory != nullptr);
  const int own = dirfd(directory);
  while (const dirent* entry = readdir(directory)) {
    if (atoi(entry->d_name) != own) {
      names.emplace_back(entry->d_name);
    }
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

bool is_mapped(u64 address) {
  unsigned char resident;
  return mincore(pointer_to<void>(address), page_size, &resident) == 0;
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& contents) {
    fd_ = mkstemp(name_);
    REQUIRE(fd_ >= 0);
    REQUIRE(write(fd_, contents.data(), contents.size()) == static_cast<ssize_t>(contents.size()));
    lseek(fd_, 0, SEEK_SET);
  }
  ~TemporaryFile() {
    close(fd_);
    unlink(name_);
  }
  int fd() const { return fd_; }
  const char* name() const { return name_; }

 private:
  char name_[32] = "/tmp/selfheal-effects-XXXXXX";
  int fd_;
};

}  // namespace

TEST_CASE("Every system call of x86-64 is in the table under its own name") {
  std::ifstream header("/usr/include/x86_64-linux-gnu/asm/unistd_64.h");
  REQUIRE(header.good());
  std::string define;
  std::string name;
  u64 number = 0;
  unsigned count = 0;
  std::string line;
  while (std::getline(header, line)) {
    char text[64];
    if (sscanf(line.c_str(), "#define __NR_%63s %lu", text, &number) == 2) {
      CHECK(std::string(syscall_name(number)) == text);
      ++count;
    }
  }
  CHECK(count > 350);
  CHECK(std::string(syscall_name(400)) == "unknown");
  GuestThread guest;
  CHECK(try_syscall(guest, 400) == EffectResult::unsupported);
  CHECK(try_syscall(guest, 100'000) == EffectResult::unsupported);
}

TEST_CASE("Calls that double the process or restrict it leave the region with nothing done") {
  GuestThread guest;
  for (const long number :
       {SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_rt_sigreturn, SYS_seccomp}) {
    CHECK(try_syscall(guest, number) == EffectResult::unsupported);
  }
  CHECK(guest.log().empty());
}

TEST_CASE("What the kernel fills is as before after a rollback") {
  GuestThread guest;
  Pages memory(4);
  u64 seed = 88172645463325252;
  for (u64 i = 0; i < memory.size(); ++i) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    memory.data()[i] = static_cast<u8>(seed | 1);
  }
  const u64 at = memory.address() + page_size - 40;  // across a page end
  TemporaryFile file("hello");
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  const auto filled = [&](long number, auto... arguments) {
    INFO(syscall_name(static_cast<u64>(number)));
    const std::vector<u8> before = memory.copy();
    REQUIRE(guest_syscall(guest, number, arguments...) >= 0);
    CHECK(memory.copy() != before);
    CHECK(guest.log().rollback().bytes > 0);
    CHECK(memory.copy() == before);
  };
  const auto write_at = [](u64 address, auto value) {
    memcpy(pointer_to<void>(address), &value, sizeof value);
  };
  filled(SYS_fstat, fd_word(file.fd()), at);
  filled(SYS_stat, file.name(), at);
  filled(SYS_newfstatat, fd_word(AT_FDCWD), file.name(), at, u64{0});
  filled(SYS_statx, fd_word(AT_FDCWD), file.name(), u64{0}, u64{0x7ff}, at);
  filled(SYS_statfs, "/tmp", at);
  filled(SYS_uname, at);
  filled(SYS_sysinfo, at);
  filled(SYS_times, at);
  filled(SYS_getcwd, at, u64{200});
  filled(SYS_readlink, "/proc/self/exe", at, u64{200});
  filled(SYS_gettimeofday, at, u64{0});
  filled(SYS_clock_gettime, u64{CLOCK_MONOTONIC}, at);
  filled(SYS_getrlimit, u64{RLIMIT_NOFILE}, at);
  filled(SYS_prlimit64, u64{0}, u64{RLIMIT_NOFILE}, u64{0}, at);
  filled(SYS_getrusage, u64{RUSAGE_SELF}, at);
  filled(SYS_getresuid, at, at + 8, at + 16);
  filled(SYS_getrandom, at, u64{100}, u64{0});
  filled(SYS_sched_getaffinity, u64{0}, u64{128}, at);
  filled(SYS_rt_sigprocmask, u64{SIG_BLOCK}, u64{0}, at, u64{8});
  filled(SYS_rt_sigaction, u64{SIGUSR1}, u64{0}, at, u64{8});
  filled(SYS_sigaltstack, u64{0}, at);
  filled(SYS_pread64, fd_word(file.fd()), at, u64{5}, u64{0});
  filled(SYS_ioctl, fd_word(pair[0]), u64{FIONREAD}, at);
  filled(SYS_getitimer, u64{ITIMER_REAL}, at);

  write_at(at + 300, u32{110});
  filled(SYS_getsockname, fd_word(pair[0]), at, at + 300);
  write_at(at + 300, u32{4});
  filled(SYS_getsockopt, fd_word(pair[0]), u64{SOL_SOCKET}, u64{SO_SNDBUF}, at, at + 300);
  write_at(at, pollfd{pair[0], POLLOUT, -1});
  filled(SYS_poll, at, u64{1}, u64{1000});
  write_at(at, u64{1} << pair[1]);
  write_at(at + 8, timeval{0, 1000});
  filled(SYS_select, u64{64}, at, u64{0}, u64{0}, at + 8);

  const int epoll = epoll_create1(0);
  epoll_event event{EPOLLOUT, {.u64 = 7}};
  REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event) == 0);
  filled(SYS_epoll_wait, fd_word(epoll), at, u64{4}, u64{1000});
  const int directory = open("/", O_RDONLY | O_DIRECTORY);
  filled(SYS_getdents64, fd_word(directory), at, u64{2000});

  const auto send = [&] { REQUIRE(write(pair[1], "message", 7) == 7); };
  send();
  filled(SYS_read, fd_word(pair[0]), at, u64{500});
  send();
  filled(SYS_recvfrom, fd_word(pair[0]), at, u64{500}, u64{0}, u64{0}, u64{0});
  iovec parts[2] = {{pointer_to<void>(at), 3}, {pointer_to<void>(at + 100), 50}};
  send();
  filled(SYS_readv, fd_word(pair[0]), parts, u64{2});
  msghdr header{};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  write_at(at + 400, header);
  send();
  filled(SYS_recvmsg, fd_word(pair[0]), at + 400, u64{0});
  mmsghdr many{};
  many.msg_hdr = header;
  write_at(at + 400, many);
  send();
  filled(SYS_recvmmsg, fd_word(pair[0]), at + 400, u64{1}, u64{0}, u64{0});

  for (const int fd : {pair[0], pair[1], epoll, directory}) {
    close(fd);
  }
}

TEST_CASE("A bad or overlong buffer gets the kernel's answer, not a fault") {
  GuestThread guest;
  Pages memory(2);
  REQUIRE(munmap(memory.data() + page_size, page_size) == 0);
  TemporaryFile file("12345678");
  CHECK(guest_syscall(guest, SYS_read, fd_word(file.fd()), u64{0x10}, u64{8}) == -EFAULT);
  CHECK(guest_syscall(guest, SYS_uname, u64{0x7fff'0000'0000'0000}) == -EFAULT);
  CHECK(guest_syscall(guest, SYS_readv, fd_word(file.fd()), u64{0x10}, u64{2}) == -EFAULT);
  CHECK(guest_syscall(guest, SYS_recvmsg, fd_word(file.fd()), u64{0x10}, u64{0}) < 0);
  u8* end = memory.data() + page_size - 8;
  memcpy(end, "ABCDEFGH", 8);
  CHECK(guest_syscall(guest, SYS_read, fd_word(file.fd()), end, u64{100'000}) == 8);
  CHECK(memcmp(end, "12345678", 8) == 0);
  guest.log().rollback();
  CHECK(memcmp(end, "ABCDEFGH", 8) == 0);
  CHECK(guest->state == ThreadState::running);
}

TEST_CASE("A buffer the log cannot take is refused before the call") {
  GuestThread guest(8 * page_size);
  Pages memory(16);
  TemporaryFile file("contents");
  CHECK(try_syscall(guest, SYS_read, fd_word(file.fd()), memory.address(), memory.size()) ==
        EffectResult::log_full);
  CHECK(lseek(file.fd(), 0, SEEK_CUR) == 0);
}

TEST_CASE("A file's position goes back") {
  GuestThread guest;
  TemporaryFile file("0123456789");
  char buffer[4];
  lseek(file.fd(), 1, SEEK_SET);
  CHECK(guest_syscall(guest, SYS_read, fd_word(file.fd()), buffer, u64{4}) == 4);
  CHECK(guest_syscall(guest, SYS_lseek, fd_word(file.fd()), u64{2}, u64{SEEK_CUR}) == 7);
  CHECK(guest_syscall(guest, SYS_lseek, fd_word(file.fd()), u64{0}, u64{SEEK_END}) == 10);
  CHECK(guest.log().irrevocable() == 0);
  CHECK(guest.log().rollback().failed == 0);
  CHECK(lseek(file.fd(), 0, SEEK_CUR) == 1);
}

TEST_CASE("Descriptors made in a region are closed by its rollback") {
  GuestThread guest;
  const auto before = open_descriptors();
  int pair[2] = {-7, -8};
  CHECK(guest_syscall(guest, SYS_openat, fd_word(AT_FDCWD), "/dev/null", u64{O_RDONLY}) >= 0);
  CHECK(guest_syscall(guest, SYS_socket, u64{AF_UNIX}, u64{SOCK_STREAM}, u64{0}) >= 0);
  CHECK(guest_syscall(guest, SYS_pipe2, pair, u64{0}) == 0);
  CHECK(guest_syscall(guest, SYS_socketpair, u64{AF_UNIX}, u64{SOCK_STREAM}, u64{0}, pair) == 0);
  CHECK(guest_syscall(guest, SYS_dup, u64{0}) >= 0);
  CHECK(guest_syscall(guest, SYS_dup2, u64{0}, u64{100}) == 100);
  CHECK(guest_syscall(guest, SYS_fcntl, u64{0}, u64{F_DUPFD}, u64{50}) >= 50);
  CHECK(guest_syscall(guest, SYS_epoll_create1, u64{0}) >= 0);
  CHECK(guest_syscall(guest, SYS_eventfd2, u64{0}, u64{0}) >= 0);
  const long closed = guest_syscall(guest, SYS_memfd_create, "x", u64{0});
  CHECK(guest_syscall(guest, SYS_close, static_cast<u64>(closed)) == 0);
  CHECK(open_descriptors().size() == before.size() + 11);
  const RollbackResult result = guest.log().rollback();
  CHECK(result.failed == 0);
  CHECK(open_descriptors() == before);
  CHECK(pair[0] == -7);
  CHECK(pair[1] == -8);
}

TEST_CASE("A descriptor closed in a region frees its number and comes back at rollback") {
  GuestThread guest;
  TemporaryFile file("contents");
  const int old = fcntl(file.fd(), F_DUPFD_CLOEXEC, 0);
  const auto before = open_descriptors();
  CHECK(guest_syscall(guest, SYS_close, fd_word(old)) == 0);
  CHECK(guest_syscall(guest, SYS_close, fd_word(old)) == -EBADF);
  CHECK(guest_syscall(guest, SYS_open, "/dev/null", u64{O_RDONLY}) == old);
  CHECK(guest_syscall(guest, SYS_dup2, u64{0}, fd_word(file.fd())) == file.fd());

  SECTION("rollback") {
    const RollbackResult result = guest.log().rollback();
    CHECK(result.failed == 0);
    CHECK(open_descriptors() == before);
    char text[8];
    CHECK(pread(old, text, 8, 0) == 8);
    CHECK(memcmp(text, "contents", 8) == 0);
    CHECK(pread(file.fd(), text, 8, 0) == 8);
    CHECK(memcmp(text, "contents", 8) == 0);
    CHECK(fcntl(old, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(file.fd(), F_GETFD) == 0);
  }
  SECTION("commit") {
    guest.log().commit();
    CHECK(open_descriptors() == before);  // the number is /dev/null's now
    char text[8];
    CHECK(pread(old, text, 8, 0) <= 0);
  }
  close(old);
}

TEST_CASE(
    "A close others may wait for happens before a call that blocks, and is then irrevocable") {
  GuestThread guest;
  int pipes[2];
  REQUIRE(pipe(pipes) == 0);
  char byte = 0;
  CHECK(guest_syscall(guest, SYS_close, fd_word(pipes[1])) == 0);
  CHECK(guest.log().irrevocable() == 0);
  // Would wait for ever while a duplicate of the writing end existed.
  CHECK(guest_syscall(guest, SYS_read, fd_word(pipes[0]), &byte, u64{1}) == 0);
  CHECK(guest.log().irrevocable() == 1);
  CHECK(guest.log().irrevocable_calls()[0] == SYS_close);
  CHECK(guest.log().rollback().failed == 0);
  close(pipes[0]);
}

TEST_CASE("A closed file is kept through a call that blocks: nobody waits for that") {
  GuestThread guest;
  TemporaryFile file("contents");
  const int old = dup(file.fd());
  int pipes[2];
  REQUIRE(pipe(pipes) == 0);
  REQUIRE(write(pipes[1], "x", 1) == 1);
  char byte = 0;
  CHECK(guest_syscall(guest, SYS_close, fd_word(old)) == 0);
  CHECK(guest_syscall(guest, SYS_recvfrom, fd_word(pipes[0]), &byte, u64{1}, u64{0}, u64{0},
                      u64{0}) == -ENOTSOCK);
  CHECK(guest.log().irrevocable() == 0);
  CHECK(guest.log().rollback().failed == 0);
  CHECK(fcntl(old, F_GETFD) == 0);
  for (const int fd : {old, pipes[0], pipes[1]}) {
    close(fd);
  }
}

TEST_CASE("No call beyond the guest's is made where a filter forbids it") {
  GuestThread guest;
  const int old = dup(0);
  TemporaryFile file("0123456789");
  set_may_call([](long number) { return number == SYS_close; });
  CHECK(guest_syscall(guest, SYS_close, fd_word(old)) == 0);
  CHECK(guest.log().irrevocable() == 1);
  char byte;
  CHECK(guest_syscall(guest, SYS_read, fd_word(file.fd()), &byte, u64{1}) == 1);
  CHECK(guest_syscall(guest, SYS_lseek, fd_word(file.fd()), u64{5}, u64{SEEK_SET}) == 5);
  CHECK(guest.log().irrevocable() == 2);
  CHECK(guest.log().rollback().failed == 1);  // the read's position
  set_may_call(nullptr);
  CHECK(fcntl(old, F_GETFD) == -1);
  CHECK(lseek(file.fd(), 0, SEEK_CUR) == 5);
}

TEST_CASE("Mappings made in a region go at rollback; those unmapped in it stay") {
  GuestThread guest;
  Pages old(2);
  old.data()[0] = 'x';
  constexpr u64 none = ~u64{0};
  const long made = guest_syscall(guest, SYS_mmap, u64{0}, u64{10'000}, u64{PROT_READ | PROT_WRITE},
                                  u64{MAP_PRIVATE | MAP_ANONYMOUS}, none, u64{0});
  REQUIRE(made > 0);
  const u64 address = static_cast<u64>(made);
  REQUIRE(guest.log().save(address, 4));
  *pointer_to<u32>(address) = 1;
  CHECK(guest_syscall(guest, SYS_munmap, old.address(), old.size()) == 0);
  CHECK(try_syscall(guest, SYS_mmap, old.address(), page_size, u64{PROT_READ},
                    u64{MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}, none,
                    u64{0}) == EffectResult::unsupported);
  SECTION("rollback") {
    CHECK(guest.log().rollback().failed == 0);
    CHECK_FALSE(is_mapped(address));
    CHECK(old.data()[0] == 'x');
  }
  SECTION("commit") {
    guest.log().commit();
    CHECK(is_mapped(address));
    CHECK_FALSE(is_mapped(old.address()));
    munmap(pointer_to<void>(address), 10'000);
  }
}

TEST_CASE("Contents that madvise throws away come back") {
  GuestThread guest;
  Pages memory(4);
  memset(memory.data(), 'm', memory.size());
  const std::vector<u8> before = memory.copy();
  CHECK(guest_syscall(guest, SYS_madvise, memory.address(), memory.size(), u64{MADV_DONTNEED}) ==
        0);
  CHECK(memory.data()[100] == 0);
  guest.log().rollback();
  CHECK(memory.copy() == before);
}

TEST_CASE("A protection change does not stand in the way of a rollback") {
  GuestThread guest;
  Pages memory(1);
  REQUIRE(guest.log().save_value<u8>(memory.address()));
  memory.data()[0] = 1;
  CHECK(guest_syscall(guest, SYS_mprotect, memory.address(), page_size, u64{PROT_READ}) == 0);
  CHECK(guest.log().irrevocable() == 1);
  CHECK(guest.log().rollback().failed == 0);
  CHECK(memory.data()[0] == 0);
}

TEST_CASE("Signal state, the umask and descriptor flags are put back") {
  GuestThread guest;
  struct sigaction before {};
  before.sa_handler = SIG_IGN;
  sigaction(SIGUSR2, &before, nullptr);
  sigset_t mask_before;
  sigprocmask(SIG_SETMASK, nullptr, &mask_before);
  const mode_t umask_before = umask(022);
  umask(022);
  const int fd = dup(0);

  const u64 defaults[4] = {};  // the kernel's struct: SIG_DFL
  CHECK(guest_syscall(guest, SYS_rt_sigaction, u64{SIGUSR2}, defaults, u64{0}, u64{8}) == 0);
  const u64 all = u64{1} << (SIGUSR1 - 1);
  CHECK(guest_syscall(guest, SYS_rt_sigprocmask, u64{SIG_BLOCK}, &all, u64{0}, u64{8}) == 0);
  CHECK(guest_syscall(guest, SYS_umask, u64{077}) == 022);
  CHECK(guest_syscall(guest, SYS_fcntl, fd_word(fd), u64{F_SETFD}, u64{FD_CLOEXEC}) == 0);
  CHECK(guest.log().irrevocable() == 0);
  CHECK(guest.log().rollback().failed == 0);

  struct sigaction after {};
  sigaction(SIGUSR2, nullptr, &after);
  CHECK(after.sa_handler == SIG_IGN);
  sigset_t mask_after;
  sigprocmask(SIG_SETMASK, nullptr, &mask_after);
  CHECK(sigismember(&mask_after, SIGUSR1) == sigismember(&mask_before, SIGUSR1));
  CHECK(umask(umask_before) == 022);
  CHECK(fcntl(fd, F_GETFD) == 0);
  close(fd);
}

TEST_CASE("What is sent is sent: counted, and named in the order it happened") {
  GuestThread guest;
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(guest_syscall(guest, SYS_write, fd_word(pair[0]), "abc", u64{3}) == 3);
  CHECK(guest_syscall(guest, SYS_sendto, fd_word(pair[0]), "def", u64{3}, u64{0}, u64{0}, u64{0}) ==
        3);
  CHECK(guest_syscall(guest, SYS_write, u64{9999}, "x", u64{1}) == -EBADF);  // nothing happened
  CHECK(guest.log().irrevocable() == 2);
  CHECK(guest.log().irrevocable_calls()[0] == SYS_write);
  CHECK(guest.log().irrevocable_calls()[1] == SYS_sendto);
  guest.log().commit();
  char text[8];
  CHECK(read(pair[1], text, 8) == 6);
  close(pair[0]);
  close(pair[1]);
}

TEST_CASE("An ioctl nobody knows leaves the region") {
  GuestThread guest;
  CHECK(try_syscall(guest, SYS_ioctl, u64{0}, u64{0x7777}, u64{0}) == EffectResult::unsupported);
}
