#include "cli/campaign/cell.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace selfheal::cli::campaign {
namespace {

constexpr int name_spaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC;

bool bring_up_loopback() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  const bool done = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 &&
                    (request.ifr_flags |= IFF_UP, ioctl(fd, SIOCSIFFLAGS, &request) == 0);
  if (fd >= 0) {
    close(fd);
  }
  return done;
}

bool write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) {
      return false;
    }
    done += written > 0 ? static_cast<size_t>(written) : 0;
  }
  return true;
}

[[noreturn]] void be_first_process(const std::function<std::string()>& work, int result) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Mounts of ours must not reach the machine's; /proc must show the cell's processes.
  const bool ready =
      mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
      mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0 &&
      bring_up_loopback();
  if (!ready) {
    std::fprintf(stderr, "selfheal: cannot set a cell up: %s\n", std::strerror(errno));
    _exit(exit_failure);
  }
  // In case the keeper died before the signal was asked for.
  if (getppid() != 0) {
    _exit(exit_failure);
  }
  _exit(write_all(result, work()) ? 0 : exit_failure);
}

[[noreturn]] void be_keeper(const std::function<std::string()>& work, int result, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(exit_failure);  // it ended before the signal was asked for
  }
  if (unshare(name_spaces) != 0) {
    std::fprintf(stderr, "selfheal: cannot make a cell: %s\n", std::strerror(errno));
    _exit(exit_failure);
  }
  const pid_t first = fork();
  if (first == 0) {
    be_first_process(work, result);
  }
  close(result);
  int status = 0;
  while (first > 0 && waitpid(first, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(first > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : exit_failure);
}

}  // namespace

Outcome check_cells() {
  const pid_t child = fork();
  if (child == 0) {
    _exit(unshare(name_spaces) == 0 ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    return fail(
        "a campaign runs each copy of the server in namespaces of its own, and this user may not "
        "make them; run it as root, or in a container with CAP_SYS_ADMIN");
  }
  return 0;
}

Result<Cell> start_cell(const std::function<std::string()>& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return fail(fmt::format("cannot make a pipe: {}; raise the limit on files (ulimit -n)",
                            std::strerror(errno)));
  }
  std::fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t keeper = fork();
  if (keeper == 0) {
    close(ends[0]);
    be_keeper(work, ends[1], parent);
  }
  close(ends[1]);
  if (keeper < 0) {
    close(ends[0]);
    return fail(fmt::format("cannot fork: {}; raise the limit on processes (ulimit -u)",
                            std::strerror(errno)));
  }
  return Cell{keeper, ends[0]};
}

void finish_cell(Cell& cell) {
  if (cell.keeper > 0) {
    kill(cell.keeper, SIGKILL);  // a keeper that has ended is still ours to wait for
    while (waitpid(cell.keeper, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (cell.result >= 0) {
    close(cell.result);
  }
  cell = {};
}

Result<std::string> run_cell(const std::function<std::string()>& work) {
  Result<Cell> cell = start_cell(work);
  if (!cell) {
    return tl::unexpected(cell.error());
  }
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t size = read(cell->result, buffer.data(), buffer.size());
    if (size > 0) {
      text.append(buffer.data(), static_cast<size_t>(size));
    } else if (size == 0 || errno != EINTR) {
      break;
    }
  }
  finish_cell(*cell);
  if (text.empty()) {
    return fail("a cell ended without a result (see above; dmesg may tell of the OOM killer)");
  }
  return text;
}

Outcome bind_over(const std::string& own, const std::string& theirs) {
  if (mount(own.c_str(), theirs.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return fail(fmt::format("cannot mount '{}' over '{}' in a cell: {}", own, theirs,
                            std::strerror(errno)));
  }
  return 0;
}

}  // namespace selfheal::cli::campaign
