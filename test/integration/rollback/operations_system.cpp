// Random use of the kernel and of locks.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "test/integration/rollback/subject.h"

namespace {

void change_mapping(Random& random) {
  Mapping& mapping = world.mappings[random.below(mapping_count)];
  if (mapping.address == nullptr) {
    mapping.size = 4096 * (1 + random.below(8));
    const int kind = random.below(2) == 0 ? MAP_PRIVATE : MAP_SHARED;
    mapping.address = static_cast<u8*>(
        mmap(nullptr, mapping.size, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0));
    if (mapping.address == MAP_FAILED) {
      std::abort();
    }
  }
  tick();
  std::memset(mapping.address + random.below(4000), static_cast<int>(random.below(256)), 90);
  if (random.below(4) == 0) {
    madvise(mapping.address, 4096, MADV_DONTNEED);
    mapping.address[7] = 1;
  }
  if (random.below(3) == 0) {
    munmap(std::exchange(mapping.address, nullptr), std::exchange(mapping.size, 0));
  }
}

void change_files(Random& random) {
  int& fd = world.files[random.below(file_count)];
  if (fd < 0) {
    switch (random.below(4)) {
      case 0:
        fd = dup(world.files[0]);
        break;
      case 1:
        fd = fcntl(world.files[0], F_DUPFD_CLOEXEC, 20);
        break;
      case 2:
        fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        break;
      default: {
        int ends[2];
        if (pipe(ends) != 0) {
          std::abort();
        }
        tick();
        close(ends[0]);
        tick();
        close(ends[1]);
        fd = epoll_create1(EPOLL_CLOEXEC);
      }
    }
    tick();
    return;
  }
  char buffer[700];
  switch (random.below(6)) {
    case 0:
      lseek(fd, static_cast<off_t>(random.below(20000)), SEEK_SET);
      break;
    case 1:
    case 2:
      if (const ssize_t got = read(fd, buffer, 1 + random.below(sizeof buffer)); got > 0) {
        std::memcpy(world.text + 3300, buffer, static_cast<u64>(got));
      }
      break;
    case 3:
      fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) ^ O_NONBLOCK);
      break;
    case 4:
      if (dup2(world.files[0], fd) != fd) {
        std::abort();
      }
      break;
    default:
      if (&fd != &world.files[0]) {
        close(std::exchange(fd, -1));
      }
  }
  tick();
}

void change_process(Random& random) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1 + static_cast<int>(random.below(2)) * 2);
  switch (random.below(4)) {
    case 0:
      pthread_sigmask(random.below(2) == 0 ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
      break;
    case 1: {
      struct sigaction action {};
      action.sa_handler = random.below(2) == 0 ? SIG_IGN : SIG_DFL;
      action.sa_flags = SA_RESTART;
      sigaction(SIGUSR2, &action, nullptr);
      break;
    }
    case 2:
      umask(static_cast<mode_t>(random.below(0100)));
      break;
    default:
      if (write(world.output, "written stays written\n", 22) != 22) {
        std::abort();
      }
  }
  tick();
}

void change_counts(Random& random) {
  const u64 value = random.next();
  world.count8 += static_cast<u8>(value);
  world.count32 -= 5;
  world.count64 ^= value;
  tick();
  world.count64 |= 1ULL << (value & 63);
  world.count32.exchange(static_cast<u32>(value));
  world.count8 &= 0x7f;
  u64 expected = world.count64;
  world.count64.compare_exchange_strong(expected, value);
  tick();
  unsigned __int128 before = world.count128;
  auto* halves = reinterpret_cast<u64*>(&world.count128);
  bool done;
  u64 low = static_cast<u64>(before);
  u64 high = static_cast<u64>(before >> 64);
  asm volatile("lock cmpxchg16b %1"
               : "=@ccz"(done), "+m"(*reinterpret_cast<u64(*)[2]>(halves)), "+a"(low), "+d"(high)
               : "b"(value), "c"(~value)
               : "memory");
  // A lock of the program's own, as spin locks are written: released by a plain store.
  while (world.own_lock.exchange(1, std::memory_order_acquire) != 0) {
  }
  world.guarded[0] += value;
  tick();
  world.own_lock.store(0, std::memory_order_release);
}

}  // namespace

void system_operation(Random& random) {
  switch (random.below(3)) {
    case 0:
      return change_mapping(random);
    case 1:
      return change_files(random);
    default:
      return change_process(random);
  }
}

void lock_operation(Random& random) {
  const unsigned which = static_cast<unsigned>(random.below(mutex_count));
  pthread_mutex_t& mutex = world.mutexes[which];
  switch (random.below(8)) {
    case 0:
      return change_counts(random);
    case 1:  // taken or released for good
      if ((world.held[which] ? pthread_mutex_unlock(&mutex) : pthread_mutex_lock(&mutex)) != 0) {
        std::abort();
      }
      world.held[which] = !world.held[which];
      break;
    case 2:
      if (world.rwlock_held != 0) {
        pthread_rwlock_unlock(&world.rwlock);
        world.rwlock_held = 0;
      } else if (random.below(2) == 0) {
        pthread_rwlock_wrlock(&world.rwlock);
        world.rwlock_held = 2;
      } else {
        pthread_rwlock_rdlock(&world.rwlock);
        world.rwlock_held = 1;
      }
      break;
    case 3:
      pthread_spin_lock(&world.spin);
      tick();
      pthread_spin_unlock(&world.spin);
      break;
    case 4:
      if (sem_trywait(&world.semaphore) == 0) {
        tick();
        sem_post(&world.semaphore);
      }
      break;
    case 5:
      if (pthread_mutex_trylock(&mutex) == 0) {
        ++world.guarded[which];
        tick();
        pthread_mutex_unlock(&mutex);
      }
      break;
    default:
      if (!world.held[which] || which == 1) {
        pthread_mutex_lock(&mutex);
        world.guarded[which] += random.next();
        tick();
        pthread_mutex_unlock(&mutex);
      }
  }
  tick();
}
