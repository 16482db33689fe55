#include "emulator/held_output.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "emulator/copy_bytes.h"
#include "emulator/syscalls_internal.h"

namespace selfheal::emulator {

namespace {

constinit bool hold = false;

// In the mapping: a header, its bytes, padding to the next header.
struct Header {
  u32 fd;
  u32 size;
};

constexpr u64 padded(u64 size) {
  return (size + sizeof(Header) - 1) & ~(sizeof(Header) - 1);
}

// What the guest wants to send.
struct Output {
  u64 fd;
  const iovec* parts;
  u64 count;
  iovec own;
};

constexpr u64 harmless_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
constexpr u64 most_parts = 64;

// The message of a sendmsg, in guest memory. Runs under guarded_call.
struct Message {
  u64 address;
  msghdr copy;
};

void copy_message(void* argument) {
  auto& message = *static_cast<Message*>(argument);
  copy_bytes(address_of(&message.copy), message.address, sizeof message.copy);
}

// False: it is none that could be held.
bool understand(Call& call, Output& output) {
  output.fd = static_cast<u32>(call.argument(0));
  output.own = {pointer_to<void>(call.argument(1)), call.argument(2)};
  output.parts = &output.own;
  output.count = 1;
  switch (call.row().number) {
    case SYS_write:
      return true;
    case SYS_writev:
      output.parts = pointer_to<const iovec>(call.argument(1));
      output.count = call.argument(2);
      return true;
    case SYS_sendto:
      return (call.argument(3) & ~harmless_flags) == 0 && call.argument(4) == 0;
    case SYS_sendmsg: {
      Message message{call.argument(1), {}};
      if ((call.argument(2) & ~harmless_flags) != 0 ||
          !guarded_call(call.thread(), copy_message, &message) ||
          message.copy.msg_name != nullptr || message.copy.msg_controllen != 0) {
        return false;
      }
      output.parts = message.copy.msg_iov;
      output.count = message.copy.msg_iovlen;
      return true;
    }
    default:
      return false;
  }
}

int socket_option(u64 fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  const long result = raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, static_cast<u64>(name),
                                  address_of(&value), address_of(&size));
  return syscall_failed(result) ? -1 : value;
}

// Bytes the kernel would take over at once. SO_SNDBUF counts the kernel's own overhead, which may
// be as much again (socket(7)).
u64 room_in(u64 fd) {
  if (socket_option(fd, SO_TYPE) != SOCK_STREAM) {
    return 0;
  }
  int queued = 0;
  const int all = socket_option(fd, SO_SNDBUF) / 2;
  if (syscall_failed(raw_syscall(SYS_ioctl, fd, SIOCOUTQ, address_of(&queued))) || queued >= all) {
    return 0;
  }
  return static_cast<u64>(all - queued);
}

u64 held_for(const HeldOutput& held, u64 fd) {
  u64 sum = 0;
  for (u64 at = 0; at < held.used;) {
    const auto& header = *pointer_to<const Header>(held.memory + at);
    sum += header.fd == fd ? header.size : 0;
    at += sizeof(Header) + padded(header.size);
  }
  return sum;
}

bool has_memory(HeldOutput& held) {
  if (held.memory == 0 && may_call(SYS_mmap)) {
    const long at = raw_syscall(SYS_mmap, 0, HeldOutput::size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, ~u64{0}, 0);
    held.memory = syscall_failed(at) ? 0 : static_cast<u64>(at);
  }
  return held.memory != 0;
}

// The guest's bytes, one part behind the other. Runs under guarded_call.
struct Gathering {
  const Output& output;
  u64 to;
  u64 room;
  u64 size;  // of all parts
  bool fits;
};

void gather(void* argument) {
  auto& into = *static_cast<Gathering*>(argument);
  for (u64 i = 0; i < into.output.count; ++i) {
    const iovec part = into.output.parts[i];
    if (part.iov_len > into.room - into.size) {
      into.fits = false;
      return;
    }
    copy_bytes(into.to + into.size, address_of(part.iov_base), part.iov_len);
    into.size += part.iov_len;
  }
}

bool may_send() {
  return may_call(SYS_sendto) && may_call(SYS_getsockopt) && may_call(SYS_ioctl) &&
         may_call(SYS_poll) && may_call(SYS_shutdown);
}

// All of it. False: the connection does not take it.
bool send(u64 fd, u64 from, u64 size) {
  constexpr u64 patience = 1000;  // ms, for room that was there and is not any more
  while (size != 0) {
    const long sent = raw_syscall(SYS_sendto, fd, from, size, MSG_NOSIGNAL, 0, 0);
    if (sent > 0) {
      from += static_cast<u64>(sent);
      size -= static_cast<u64>(sent);
    } else if (sent == -EAGAIN) {
      pollfd waits{static_cast<int>(fd), POLLOUT, 0};
      if (raw_syscall(SYS_poll, address_of(&waits), 1, patience) <= 0) {
        return false;
      }
    } else if (sent != -EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

void set_hold_output(bool wanted) {
  hold = wanted;
}

bool hold_output(Call& call, u64& size) {
  if (!hold) {
    return false;
  }
  HeldOutput& held = call.thread().output;
  Output output{};
  if (!understand(call, output) || output.count > most_parts || !may_send()) {
    return false;
  }
  const u64 in_socket = room_in(output.fd);
  const u64 before = held_for(held, output.fd);
  if (in_socket <= before || HeldOutput::size - held.used <= sizeof(Header) || !has_memory(held)) {
    return false;
  }
  const u64 in_memory = HeldOutput::size - held.used - sizeof(Header);
  const u64 room = in_socket - before < in_memory ? in_socket - before : in_memory;
  const u64 at = held.memory + held.used;
  Gathering bytes{output, at + sizeof(Header), room, 0, true};
  if (!guarded_call(call.thread(), gather, &bytes) || !bytes.fits || bytes.size == 0 ||
      !call.log().action(Action::drop_output, held.used)) {
    return false;
  }
  *pointer_to<Header>(at) = {static_cast<u32>(output.fd), static_cast<u32>(bytes.size)};
  held.used += sizeof(Header) + padded(bytes.size);
  size = bytes.size;
  return true;
}

bool holds_output_for(const Thread& thread, u64 fd) {
  return held_for(thread.output, fd) != 0;
}

u64 send_held_output(Thread& thread) {
  HeldOutput& held = thread.output;
  u64 calls = 0;
  for (u64 at = 0; at < held.used;) {
    const auto& header = *pointer_to<const Header>(held.memory + at);
    at += sizeof(Header);
    if (!send(header.fd, held.memory + at, header.size)) {
      raw_syscall(SYS_shutdown, header.fd, SHUT_RDWR);
    }
    at += padded(header.size);
    ++calls;
  }
  held.used = 0;
  return calls;
}

void drop_held_output(Thread& thread, u64 used) {
  thread.output.used = used < thread.output.used ? used : thread.output.used;
}

void forget_held_output(Thread& thread) {
  if (thread.output.memory != 0) {
    raw_syscall(SYS_munmap, thread.output.memory, HeldOutput::size);
    thread.output = {};
  }
}

}  // namespace selfheal::emulator
