// The state that `region` changes, and the whole of it that can be seen, as text.
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fenv.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "test/integration/rollback/subject.h"

World world;
const char* endless;

namespace {

u64 hash(const void* bytes, u64 size) {  // FNV-1a
  u64 h = 0xcbf29ce484222325;
  for (u64 i = 0; i < size; ++i) {
    h = (h ^ static_cast<const u8*>(bytes)[i]) * 0x100000001b3;
  }
  return h;
}

[[gnu::format(printf, 2, 3)]] void line(std::string& out, const char* format, ...) {
  char buffer[512];
  va_list values;
  va_start(values, format);
  std::vsnprintf(buffer, sizeof buffer, format, values);
  va_end(values);
  out += buffer;
  out += '\n';
}

int make_file(const char* folder, const char* name, unsigned lines) {
  char path[512];
  std::snprintf(path, sizeof path, "%s/%s", folder, name);
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  for (unsigned i = 0; i < lines; ++i) {
    dprintf(fd, "line %u of %s, %s\n", i, name, i % 3 == 0 ? "short" : "and a good deal longer");
  }
  lseek(fd, 0, SEEK_SET);
  return fd;
}

void make_mutex(pthread_mutex_t& mutex, int type, bool robust, bool inherits) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, type);
  if (robust) {
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  }
  if (inherits) {
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
  }
  pthread_mutex_init(&mutex, &attributes);
}

void see_files(std::string& out) {
  DIR* folder = opendir("/proc/self/fd");
  std::vector<std::string> found;
  while (const dirent* entry = readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (fd <= 2 || fd == dirfd(folder)) {
      continue;
    }
    char path[64];
    char target[256] = {};
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (readlink(path, target, sizeof target - 1) < 0) {
      continue;
    }
    const long offset = fd == world.output ? 0 : lseek(fd, 0, SEEK_CUR);
    const bool is_pipe = std::strncmp(target, "pipe:", 5) == 0;
    std::string one;
    line(one, "fd %d %s at %ld flags %x %x", fd, is_pipe ? "pipe" : target, offset,
         fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
    found.push_back(one);
  }
  closedir(folder);
  for (const std::string& one : found) {
    out += one;
  }
}

// All mappings but the heap's, which may stay as large as it was once: with another heap than
// glibc's those are nameless ones.
void see_mappings(std::string& out) {
  const bool other_heap = std::getenv("SUBJECT_OTHER_HEAP") != nullptr;
  FILE* maps = std::fopen("/proc/self/maps", "re");
  char text[512];
  while (std::fgets(text, sizeof text, maps) != nullptr) {
    const bool nameless = std::strstr(text, " rw-p 00000000 00:00 0 \n") != nullptr;
    if (std::strstr(text, "[heap]") == nullptr && std::strstr(text, "[stack]") == nullptr &&
        !(other_heap && nameless)) {
      out += text;
    }
  }
  std::fclose(maps);
}

void see_process(std::string& out) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  for (int signal = 1; signal < 32; ++signal) {
    struct sigaction action {};
    sigaction(signal, nullptr, &action);
    line(out, "signal %d blocked %d flags %x mask %lx", signal, sigismember(&mask, signal),
         static_cast<unsigned>(action.sa_flags), action.sa_mask.__val[0]);
  }
  const mode_t creation = umask(0);
  umask(creation);
  u32 mxcsr;
  u16 control;
  u64 flags;
  asm volatile("stmxcsr %0\n\tfnstcw %1\n\tpushfq\n\tpop %2"
               : "=m"(mxcsr), "=m"(control), "=r"(flags));
  line(out, "umask %o mxcsr %x x87 %x df %d", creation, mxcsr & ~0x3fU, control,
       static_cast<int>(flags >> 10 & 1));
}

}  // namespace

void make_world(const char* folder) {
  u8* pages = static_cast<u8*>(
      mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  std::memset(pages, 'e', 4096);
  mprotect(pages + 4096, 4096, PROT_NONE);
  endless = reinterpret_cast<char*>(pages) + 1000;
  world.output = make_file(folder, "output", 0);
  world.files[0] = make_file(folder, "data", 2000);
  for (unsigned i = 1; i < file_count; ++i) {
    world.files[i] = i < 3 ? dup(world.files[0]) : -1;
  }
  world.lines = fdopen(make_file(folder, "lines", 500), "r");
  make_mutex(world.mutexes[0], PTHREAD_MUTEX_NORMAL, false, false);
  make_mutex(world.mutexes[1], PTHREAD_MUTEX_RECURSIVE, false, false);
  make_mutex(world.mutexes[2], PTHREAD_MUTEX_ERRORCHECK, false, false);
  make_mutex(world.mutexes[3], PTHREAD_MUTEX_NORMAL, true, false);
  make_mutex(world.mutexes[4], PTHREAD_MUTEX_NORMAL, false, true);
  make_mutex(world.mutexes[5], PTHREAD_MUTEX_ADAPTIVE_NP, false, false);
  pthread_rwlock_init(&world.rwlock, nullptr);
  pthread_spin_init(&world.spin, 0);
  sem_init(&world.semaphore, 0, 3);
}

std::string observe(bool contents) {
  std::string out;
  for (const Slot& slot : world.slots) {
    line(out, "slot %p %lu %lx", contents ? nullptr : static_cast<void*>(slot.bytes), slot.size,
         slot.bytes != nullptr ? hash(slot.bytes, slot.size) : 0);
  }
  for (const Node* node = world.list; node != nullptr; node = node->next) {
    line(out, "node %p %lx", contents ? nullptr : static_cast<const void*>(node), node->value);
  }
  for (const auto& [key, value] : world.words) {
    line(out, "word %s %lx", key.c_str(), hash(value.data(), value.size()));
  }
  line(out, "text %lx numbers %lx", hash(world.text, sizeof world.text),
       hash(world.numbers, sizeof world.numbers));
  for (const Mapping& mapping : world.mappings) {
    line(out, "mapping %p %lu %lx", contents ? nullptr : static_cast<void*>(mapping.address),
         mapping.size, mapping.address != nullptr ? hash(mapping.address, mapping.size) : 0);
  }
  line(out, "counts %u %u %lu %lx %lx %u", world.count8.load(), world.count32.load(),
       world.count64.load(), static_cast<u64>(world.count128),
       static_cast<u64>(world.count128 >> 64), world.own_lock.load());
  line(out, "guarded %lx lines at %ld", hash(world.guarded, sizeof world.guarded),
       std::ftell(world.lines));
  for (unsigned i = 0; i < mutex_count; ++i) {
    const auto& mutex = world.mutexes[i].__data;
    line(out, "mutex %u held %d lock %d owner %d count %u users %u kind %d", i, world.held[i],
         contents ? 0 : mutex.__lock, contents ? 0 : mutex.__owner,
         mutex.__lock != 0 ? mutex.__count : 0, mutex.__nusers, mutex.__kind);
  }
  // The lower bits of the count are phases, of which an idle lock may be in either.
  line(out, "rwlock %u readers %u writer %d spin %d", world.rwlock_held,
       world.rwlock.__data.__readers >> 3, contents ? 0 : world.rwlock.__data.__cur_writer,
       world.spin);
  int value = 0;
  sem_getvalue(&world.semaphore, &value);
  line(out, "semaphore %d", value);
  see_files(out);
  see_process(out);
  if (!contents) {
    see_mappings(out);
  }
  return out;
}
