// Every blocking call still does what it is for, with errno as libc sets it.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "test/probes/subject.h"

using namespace subject;

namespace {

void show(const char* what, long result) {
  printf("%s %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : "");
}

}  // namespace

SCENARIO(blocking_calls_work) {
  int pair[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  char buffer[64] = {};
  write(pair[1], "abcdefgh", 8);
  show("read", read(pair[0], buffer, 2));
  iovec vector{buffer + 2, 1};
  show("readv", readv(pair[0], &vector, 1));
  show("recv", recv(pair[0], buffer + 3, 1, 0));
  show("recvfrom", recvfrom(pair[0], buffer + 4, 1, 0, nullptr, nullptr));
  vector = {buffer + 5, 1};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  show("recvmsg", recvmsg(pair[0], &message, 0));
  printf("%s\n", buffer);
  pollfd fd{pair[0], POLLIN, 0};
  show("poll", poll(&fd, 1, 0));
  fd_set set;
  FD_ZERO(&set);
  FD_SET(pair[0], &set);
  timeval none{0, 0};
  show("select", select(pair[0] + 1, &set, nullptr, nullptr, &none));
  const int epoll = epoll_create1(0);
  epoll_event event{};
  event.events = EPOLLIN;
  epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
  show("epoll_wait", epoll_wait(epoll, &event, 1, 0));
  show("accept", accept(pair[0], nullptr, nullptr));
  show("accept4", accept4(-1, nullptr, nullptr, 0));
  show("read", read(-1, buffer, 1));
  const timespec bad{0, -1};
  show("nanosleep", nanosleep(&bad, nullptr));
  show("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, nullptr));
  show("waitpid", waitpid(-1, nullptr, 0));
  sem_t semaphore;
  sem_init(&semaphore, 0, 1);
  show("sem_wait", sem_wait(&semaphore));
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
  pthread_mutex_lock(&mutex);
  const timespec past{1, 0};
  show("pthread_cond_timedwait", pthread_cond_timedwait(&condition, &mutex, &past));
  char* const arguments[] = {nullptr};
  show("execv", execv("/nowhere", arguments));
  errno = 0;
  const pid_t child = vfork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", "exit $1$2", "sh", "1", "2", nullptr);
    _exit(99);
  }
  int status = 0;
  show("waitpid", waitpid(child, &status, 0) == child);
  printf("%x\n", status);
  return 0;
}

namespace {

struct Said {
  bool loud = false;
  ~Said() {
    if (loud) {
      puts("static destructor");
    }
  }
} said;

}  // namespace

SCENARIO(exit_runs_everything) {
  said.loud = true;
  atexit([] { puts("atexit"); });
  exit(5);
}

SCENARIO(longjmp_works) {
  jmp_buf here;
  volatile int times = 0;
  const int came = setjmp(here);
  if (came < 5) {
    times = times + 1;
    longjmp(here, came + 1);
  }
  printf("%d %d\n", came, times);
  return 0;
}

SCENARIO(exceptions_pass) {
  try {
    throw 5;
  } catch (int i) {
    printf("%d\n", i);
  }
  return 0;
}
