#include <catch2/catch.hpp>
#include <fcntl.h>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "emulator/held_output.h"
#include "emulator/syscalls.h"
#include "test/effects/call.h"

using namespace selfheal;
using namespace selfheal::emulator;
using namespace selfheal::emulator::test;

namespace {

// A connection: the guest writes to one end, the test is the peer. The option is on meanwhile.
class Connection {
 public:
  explicit Connection(int type = SOCK_STREAM) {
    REQUIRE(socketpair(AF_UNIX, type, 0, ends_) == 0);
    set_hold_output(true);
  }
  ~Connection() {
    set_hold_output(false);
    close(ends_[0]);
    close(ends_[1]);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  u64 fd() const { return static_cast<u32>(ends_[0]); }
  int peer() const { return ends_[1]; }

  // What has arrived until now.
  std::string arrived() const {
    char bytes[4096];
    const ssize_t size = recv(ends_[1], bytes, sizeof bytes, MSG_DONTWAIT);
    return {bytes, size > 0 ? static_cast<size_t>(size) : 0};
  }

 private:
  int ends_[2];
};

template <typename... Arguments>
long guest_syscall(GuestThread& guest, long number, Arguments... arguments) {
  constexpr u8 order[] = {rdi, rsi, rdx, r10, r8, r9};
  unsigned index = 0;
  ((guest->guest.gpr[order[index++]] = word(arguments)), ...);
  guest->guest.gpr[rax] = static_cast<u64>(number);
  REQUIRE(run_syscall(*guest) == EffectResult::done);
  return static_cast<long>(guest->guest.gpr[rax]);
}

long guest_write(GuestThread& guest, u64 fd, std::string_view text) {
  return guest_syscall(guest, SYS_write, fd, text.data(), u64{text.size()});
}

}  // namespace

TEST_CASE("Held output arrives when the region ends, in order") {
  GuestThread guest;
  const Connection one;
  const Connection other;
  CHECK(guest_write(guest, one.fd(), "one ") == 4);
  CHECK(guest_write(guest, other.fd(), "other") == 5);
  char words[] = "two three";
  iovec parts[] = {{words, 4}, {words + 4, 5}};
  CHECK(guest_syscall(guest, SYS_writev, one.fd(), parts, u64{2}) == 9);
  CHECK(guest_syscall(guest, SYS_sendto, one.fd(), words, u64{3}, u64{MSG_NOSIGNAL}, u64{0},
                      u64{0}) == 3);
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 1;
  CHECK(guest_syscall(guest, SYS_sendmsg, one.fd(), &message, u64{0}) == 4);
  CHECK(one.arrived().empty());
  CHECK(guest.log().irrevocable() == 0);
  guest.log().commit();
  CHECK(one.arrived() == "one two threetwotwo ");
  CHECK(other.arrived() == "other");
}

TEST_CASE("Held output is dropped at a rollback, back to a mark, too") {
  GuestThread guest;
  const Connection connection;
  guest_write(guest, connection.fd(), "kept");
  const u64 mark = guest.log().mark();
  guest_write(guest, connection.fd(), "dropped");
  guest.log().back_to(mark);
  guest_write(guest, connection.fd(), " as well");
  SECTION("then a commit") {
    guest.log().commit();
    CHECK(connection.arrived() == "kept as well");
  }
  SECTION("then a rollback") {
    CHECK(guest.log().rollback().failed == 0);
    CHECK(connection.arrived().empty());
    guest_write(guest, connection.fd(), "next");
    guest.log().commit();
    CHECK(connection.arrived() == "next");
  }
}

TEST_CASE("Whoever waits for the peer sends what is held first") {
  GuestThread guest;
  const Connection connection;
  REQUIRE(write(connection.peer(), "?", 1) == 1);
  guest_write(guest, connection.fd(), "question");
  SECTION("by a read") {
    char byte = 0;
    CHECK(guest_syscall(guest, SYS_read, connection.fd(), &byte, u64{1}) == 1);
  }
  SECTION("by closing it") {
    CHECK(guest_syscall(guest, SYS_close,
                        static_cast<u64>(dup(static_cast<int>(connection.fd())))) == 0);
    CHECK(connection.arrived().empty());  // that was another descriptor
    guest_write(guest, connection.fd(), "!");
    CHECK(guest_syscall(guest, SYS_close, connection.fd()) == 0);
  }
  SECTION("by ending the stream") {
    CHECK(guest_syscall(guest, SYS_shutdown, connection.fd(), u64{SHUT_WR}) == 0);
  }
  CHECK(connection.arrived().starts_with("question"));
  CHECK(guest.log().irrevocable() > 0);
  CHECK(guest.log().irrevocable_calls()[0] == SYS_sendto);
  guest.log().rollback();
}

TEST_CASE("Log files are written and files are read while output is held") {
  GuestThread guest;
  const Connection connection;
  char name[] = "/tmp/selfheal-held-XXXXXX";
  const int file = mkstemp(name);
  REQUIRE(file >= 0);
  unlink(name);
  guest_write(guest, connection.fd(), "answer");
  CHECK(guest_write(guest, static_cast<u32>(file), "GET / 200\n") == 10);
  char bytes[4];
  CHECK(guest_syscall(guest, SYS_pread64, u64{static_cast<u32>(file)}, bytes, u64{4}, u64{0}) == 4);
  CHECK(connection.arrived().empty());
  CHECK(lseek(file, 0, SEEK_END) == 10);
  guest.log().rollback();
  CHECK(connection.arrived().empty());
  close(file);
}

TEST_CASE("What the kernel would not take over at once is not held") {
  GuestThread guest;
  SECTION("datagrams") {
    const Connection connection(SOCK_DGRAM);
    CHECK(guest_write(guest, connection.fd(), "datagram") == 8);
    CHECK(connection.arrived() == "datagram");
  }
  SECTION("more than there is room for; what was held goes first") {
    const Connection connection;
    int room = 4096;
    REQUIRE(setsockopt(static_cast<int>(connection.fd()), SOL_SOCKET, SO_SNDBUF, &room,
                       sizeof room) == 0);
    guest_write(guest, connection.fd(), "first");
    const std::string much(5000, 'x');
    CHECK(guest_syscall(guest, SYS_sendto, connection.fd(), much.data(), u64{5000},
                        u64{MSG_DONTWAIT}, u64{0}, u64{0}) == 5000);
    CHECK(connection.arrived().starts_with("first"));
  }
  SECTION("urgent data, descriptors, nothing, and a bad pointer") {
    const Connection connection;
    char control[CMSG_SPACE(sizeof(int))] = {};
    char byte = 'm';
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    CHECK(guest_syscall(guest, SYS_sendmsg, connection.fd(), &message, u64{0}) == 1);
    CHECK(guest_syscall(guest, SYS_write, connection.fd(), &byte, u64{0}) == 0);
    CHECK(guest_syscall(guest, SYS_write, connection.fd(), u64{8}, u64{4}) == -EFAULT);
    CHECK(guest_syscall(guest, SYS_sendmsg, connection.fd(), u64{8}, u64{0}) == -EFAULT);
    CHECK(connection.arrived() == "m");
  }
  SECTION("anything, where a filter may forbid to send it") {
    const Connection connection;
    set_may_call([](long number) { return number != SYS_sendto; });
    guest_write(guest, connection.fd(), "now");
    set_may_call(nullptr);
    CHECK(connection.arrived() == "now");
  }
  SECTION("anything, without the option") {
    const Connection connection;
    set_hold_output(false);
    guest_write(guest, connection.fd(), "now");
    CHECK(connection.arrived() == "now");
  }
  guest.log().rollback();
}

TEST_CASE("What cannot be sent ends the connection, and nobody dies of SIGPIPE") {
  GuestThread guest;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  set_hold_output(true);
  CHECK(guest_write(guest, static_cast<u32>(ends[0]), "nobody reads this") == 17);
  close(ends[1]);
  guest.log().commit();
  set_hold_output(false);
  char byte;
  CHECK(read(ends[0], &byte, 1) == 0);
  close(ends[0]);
}
