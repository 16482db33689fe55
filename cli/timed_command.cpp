#include "cli/timed_command.h"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "cli/launch.h"

namespace selfheal::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t longest_output = 1 << 20;
constexpr milliseconds pause{5};
constexpr milliseconds quiet{300};  // after the first bytes of an answer

std::string contents_of(int fd) {
  std::string text(longest_output, '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

// Closes its descriptor when it goes.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

bool connect_to(int fd, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

int left_until(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
  return left > 0 ? static_cast<int>(left) : 0;
}

bool send_all(int fd, const std::string& bytes, Clock::time_point deadline) {
  for (size_t sent = 0; sent < bytes.size();) {
    pollfd ready{fd, POLLOUT, 0};
    if (poll(&ready, 1, left_until(deadline)) <= 0) {
      return false;
    }
    const ssize_t size =
        send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno != EAGAIN) {
      return true;  // it has closed early; perhaps there is an answer all the same
    }
    sent += size > 0 ? static_cast<size_t>(size) : 0;
  }
  return true;
}

}  // namespace

CommandEnd run_command(const std::string& command, const std::vector<std::string>& environment,
                       milliseconds timeout) {
  CommandEnd end;
  const Clock::time_point deadline = Clock::now() + timeout;
  const Descriptor output(memfd_create("output", MFD_CLOEXEC));
  const pid_t child = fork();
  if (child < 0) {
    end.wait_status = 127 << 8;
    return end;
  }
  if (child == 0) {
    setpgid(0, 0);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(output.get(), STDOUT_FILENO);
    dup2(output.get(), STDERR_FILENO);
    _exit(execute({"/bin/sh", {"sh", "-c", command}, environment}) != 0 ? 127 : 0);
  }
  setpgid(child, child);
  while (waitpid(child, &end.wait_status, WNOHANG) == 0) {
    if (Clock::now() >= deadline) {
      end.late = true;
      kill(-child, SIGKILL);
      waitpid(child, &end.wait_status, 0);
      break;
    }
    std::this_thread::sleep_for(pause);
  }
  kill(-child, SIGKILL);  // what it left behind
  end.output = contents_of(output.get());
  return end;
}

CommandEnd send_request(const std::string& bytes, int port, milliseconds timeout) {
  CommandEnd end;
  end.wait_status = 1 << 8;
  const Clock::time_point deadline = Clock::now() + timeout;
  const Descriptor socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connect_to(socket_fd.get(), port) || !send_all(socket_fd.get(), bytes, deadline)) {
    end.late = Clock::now() >= deadline;
    return end;
  }
  for (;;) {
    pollfd ready{socket_fd.get(), POLLIN, 0};
    const int left = left_until(deadline);
    const int patience = end.output.empty() ? left : std::min<int>(left, quiet.count());
    if (poll(&ready, 1, patience) <= 0) {
      end.late = end.output.empty();
      break;
    }
    char buffer[4096];
    const ssize_t got = recv(socket_fd.get(), buffer, sizeof buffer, 0);
    if (got <= 0 || end.output.size() > longest_output) {
      break;
    }
    end.output.append(buffer, static_cast<size_t>(got));
  }
  end.wait_status = end.output.empty() ? 1 << 8 : 0;
  return end;
}

bool listens(int port) {
  const Descriptor socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect_to(socket_fd.get(), port);
}

}  // namespace selfheal::cli
