// Threads: how they begin, end, are cancelled and counted.
#include <atomic>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <threads.h>

#include "test/probes/events.h"
#include "test/probes/subject.h"

using namespace subject;

namespace {

std::atomic<int> destroyed{0};

struct Local {
  int value = 1;
  ~Local() { destroyed += value; }
};
thread_local Local local;

void* returns(void* argument) {
  local.value = 1;
  return argument;
}

void* exits(void* argument) {
  local.value = 1;
  pthread_exit(argument);
}

void clean_up(void*) {
  puts("cleaned up");
}

int never[2];

template <typename Wait>
void* waits(void*) {
  pthread_cleanup_push(clean_up, nullptr);
  Wait()();
  pthread_cleanup_pop(0);
  return nullptr;
}

template <typename Wait>
void cancel_in(const char* name, Wait) {
  pthread_t thread;
  pthread_create(&thread, nullptr, waits<Wait>, nullptr);
  pthread_cancel(thread);
  void* result = nullptr;
  pthread_join(thread, &result);
  printf("%s: cancelled %s\n", name, yes(result == PTHREAD_CANCELED));
}

struct InPoll {
  void operator()() { poll(nullptr, 0, -1); }
};
struct InRead {
  void operator()() {
    char byte;
    read(never[0], &byte, 1);
  }
};
struct InSleep {
  void operator()() { sleep(1000); }
};
struct InCondition {
  void operator()() {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    pthread_cond_wait(&condition, &mutex);
  }
};
struct InPpoll {
  void operator()() {
    sigset_t none;
    sigemptyset(&none);
    ppoll(nullptr, 0, nullptr, &none);
  }
};

}  // namespace

SCENARIO(threads_begin_and_end) {
  for (int i = 0; i < 20; ++i) {
    pthread_t thread;
    pthread_create(&thread, nullptr, i % 2 ? returns : exits, reinterpret_cast<void*>(i + 100L));
    void* result = nullptr;
    pthread_join(thread, &result);
    printf("%ld\n", reinterpret_cast<long>(result));
  }
  std::thread([] { local.value = 2; }).join();
  thrd_t c11;
  thrd_create(
      &c11, [](void* p) { return static_cast<int>(reinterpret_cast<long>(p)) - 10; },
      reinterpret_cast<void*>(3L));
  int result = 0;
  thrd_join(c11, &result);
  printf("%d, destroyed %d\n", result, destroyed.load());
  return 0;
}

SCENARIO(cancellation) {
  pipe(never);
  cancel_in("poll", InPoll{});
  cancel_in("read", InRead{});
  cancel_in("sleep", InSleep{});
  cancel_in("condition", InCondition{});
  cancel_in("ppoll", InPpoll{});
  return 0;
}

namespace {

pthread_key_t late_key;

// A destructor of the application's that runs out of stack, in the last round but one.
void late(void* value) {
  static std::atomic<int> rounds{0};
  if (rounds++ < 2) {
    pthread_setspecific(late_key, value);
    return;
  }
  overflow_stack(0);
}

}  // namespace

SCENARIO(overflow_in_a_late_destructor) {
  pthread_key_create(&late_key, late);
  std::thread([] { pthread_setspecific(late_key, &late_key); }).join();
  return 0;
}

SCENARIO(many_threads_fault_and_go_on) {
  install(
      SIGSEGV, [](int, siginfo_t*, void* context) { go_on_at_r15(context); }, SA_SIGINFO);
  std::atomic<int> sum{0};
  std::thread workers[8];
  for (auto& worker : workers) {
    worker = std::thread([&sum] {
      for (int i = 0; i < 500; ++i) {
        sum += null_read();
      }
    });
  }
  for (auto& worker : workers) {
    worker.join();
  }
  printf("%d\n", sum.load());
  return 0;
}

SCENARIO(forks) {
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      _exit(i);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("%x\n", status);
  }
  const pid_t child = vfork();
  if (child == 0) {
    _exit(9);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("%x\n", status);
  return 0;
}

SCENARIO(new_generation) {
  const int file = open(getenv(probes_test::events_variable), O_RDWR);
  auto* events = static_cast<probes_test::Events*>(
      mmap(nullptr, sizeof(probes_test::Events), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  const auto two_calls = [] {
    poll(nullptr, 0, 0);
    const timespec none{0, 0};
    nanosleep(&none, nullptr);
    ppoll(nullptr, 0, &none, nullptr);
  };
  two_calls();
  for (int i = 0; i < 3; ++i) {
    events->generation = static_cast<selfheal::u64>(i + 7);
    two_calls();
  }
  return 0;
}
