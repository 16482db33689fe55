// The table against the library itself: each function exists, and those that are cheap to make fail
// return what the table says.
#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <cerrno>
#include <climits>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <iconv.h>
#include <locale.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <regex.h>
#include <set>
#include <string>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/types.h"
#include "lib/recover/library_failures.h"

// In a build with AddressSanitizer, too, an allocation fails as it does with glibc.
extern "C" const char* __asan_default_options();
const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}

using namespace selfheal;
using recover::FailureForm;
using recover::LibraryFailure;

namespace {

constexpr int no_descriptor = -1;
constexpr const char* no_file = "/nonexistent/file";
volatile size_t too_much = PTRDIFF_MAX;
volatile time_t no_year = LONG_MAX;
char buffer[64];
char* no_arguments[] = {nullptr};
epoll_event event;

template <typename T>
long number_of(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(value);
  } else {
    return static_cast<long>(value);
  }
}

struct Failing {
  const char* name;
  long (*call)();
};

#define FAILS(name, ...)                         \
  {                                              \
    #name, [] { return number_of(__VA_ARGS__); } \
  }

// clang-format off
const Failing failing[] = {
    FAILS(malloc, malloc(too_much)),
    FAILS(calloc, calloc(too_much, 4)),
    FAILS(realloc, realloc(nullptr, too_much)),
    FAILS(reallocarray, reallocarray(nullptr, too_much, 4)),
    FAILS(aligned_alloc, aligned_alloc(64, too_much)),
    {"posix_memalign", [] { void* at; return number_of(posix_memalign(&at, 64, too_much)); }},
    FAILS(setenv, setenv("", "x", 1)),
    FAILS(unsetenv, unsetenv("a=b")),
    FAILS(fopen, fopen(no_file, "r")),
    FAILS(fopen64, fopen64(no_file, "r")),
    FAILS(fdopen, fdopen(no_descriptor, "r")),
    FAILS(popen, popen("true", "no such mode")),
    {"fflush", [] { FILE* full = fopen("/dev/full", "w"); fputc('x', full); const int result = fflush(full); fclose(full); return number_of(result); }},
    {"fclose", [] { FILE* full = fopen("/dev/full", "w"); fputc('x', full); return number_of(fclose(full)); }},
    {"fputs", [] { FILE* input = fopen("/dev/null", "r"); const int result = fputs("x", input); fclose(input); return number_of(result); }},
    {"fputc", [] { FILE* input = fopen("/dev/null", "r"); const int result = fputc('x', input); fclose(input); return number_of(result); }},
    {"fwrite", [] { FILE* input = fopen("/dev/null", "r"); const size_t result = fwrite("x", 1, 1, input); fclose(input); return number_of(result); }},
    {"fprintf", [] { FILE* input = fopen("/dev/null", "r"); const int result = fprintf(input, "%d", 1); fclose(input); return number_of(result); }},
    {"fread", [] { FILE* folder = fopen("/", "r"); const size_t result = fread(buffer, 1, 1, folder); fclose(folder); return number_of(result); }},
    {"fgets", [] { FILE* folder = fopen("/", "r"); char* result = fgets(buffer, 8, folder); fclose(folder); return number_of(result); }},
    {"fgetc", [] { FILE* folder = fopen("/", "r"); const int result = fgetc(folder); fclose(folder); return number_of(result); }},
    {"getline", [] { FILE* folder = fopen("/", "r"); char* line = nullptr; size_t size = 0; const ssize_t result = getline(&line, &size, folder); free(line); fclose(folder); return number_of(result); }},
    {"fseek", [] { FILE* null = fopen("/dev/null", "r"); const int result = fseek(null, 0, 77); fclose(null); return number_of(result); }},
    FAILS(open, open(no_file, O_RDONLY)),
    FAILS(open64, open64(no_file, O_RDONLY)),
    FAILS(openat, openat(AT_FDCWD, no_file, O_RDONLY)),
    FAILS(creat, creat(no_file, 0600)),
    FAILS(close, close(no_descriptor)),
    FAILS(read, read(no_descriptor, buffer, 1)),
    FAILS(pread, pread(no_descriptor, buffer, 1, 0)),
    FAILS(readv, readv(no_descriptor, nullptr, 0)),
    FAILS(write, write(no_descriptor, buffer, 1)),
    FAILS(pwrite, pwrite(no_descriptor, buffer, 1, 0)),
    FAILS(writev, writev(no_descriptor, nullptr, 0)),
    FAILS(lseek, lseek(no_descriptor, 0, SEEK_SET)),
    FAILS(dup, dup(no_descriptor)),
    FAILS(dup2, dup2(no_descriptor, 3)),
    FAILS(pipe2, pipe2(nullptr, -1)),
    FAILS(fcntl, fcntl(no_descriptor, F_GETFD)),
    FAILS(fsync, fsync(no_descriptor)),
    FAILS(ftruncate, ftruncate(no_descriptor, 0)),
    FAILS(posix_fallocate, posix_fallocate(no_descriptor, 0, 1)),
    FAILS(lockf, lockf(no_descriptor, F_LOCK, 0)),
    FAILS(sendfile, sendfile(no_descriptor, no_descriptor, nullptr, 1)),
    FAILS(inotify_add_watch, inotify_add_watch(no_descriptor, "/", IN_ACCESS)),
    FAILS(epoll_create, epoll_create(0)),
    FAILS(epoll_ctl, epoll_ctl(no_descriptor, EPOLL_CTL_ADD, 0, nullptr)),
    FAILS(epoll_wait, epoll_wait(no_descriptor, &event, 1, 0)),
    FAILS(select, select(-1, nullptr, nullptr, nullptr, nullptr)),
    {"mkstemp", [] { char name[] = "/nonexistent/XXXXXX"; return number_of(mkstemp(name)); }},
    {"mkdtemp", [] { char name[] = "/nonexistent/XXXXXX"; return number_of(mkdtemp(name)); }},
    {"stat", [] { struct stat out; return number_of(stat(no_file, &out)); }},
    {"lstat", [] { struct stat out; return number_of(lstat(no_file, &out)); }},
    {"fstat", [] { struct stat out; return number_of(fstat(no_descriptor, &out)); }},
    FAILS(access, access(no_file, F_OK)),
    FAILS(mkdir, mkdir(no_file, 0700)),
    FAILS(rmdir, rmdir(no_file)),
    FAILS(unlink, unlink(no_file)),
    FAILS(rename, rename(no_file, no_file)),
    FAILS(link, link(no_file, no_file)),
    FAILS(symlink, symlink("x", no_file)),
    FAILS(readlink, readlink(no_file, buffer, sizeof buffer)),
    FAILS(chmod, chmod(no_file, 0600)),
    FAILS(chown, chown(no_file, 0, 0)),
    FAILS(mkfifo, mkfifo(no_file, 0600)),
    FAILS(chdir, chdir(no_file)),
    FAILS(getcwd, getcwd(buffer, 1)),
    FAILS(realpath, realpath(no_file, nullptr)),
    FAILS(opendir, opendir(no_file)),
    FAILS(fdopendir, fdopendir(no_descriptor)),
    {"scandir", [] { struct dirent** list = nullptr; return number_of(scandir(no_file, &list, nullptr, nullptr)); }},
    {"statvfs", [] { struct statvfs out; return number_of(statvfs(no_file, &out)); }},
    FAILS(mmap, mmap(nullptr, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
    FAILS(munmap, munmap(buffer + 1, 1)),
    FAILS(mprotect, mprotect(buffer + 1, 1, PROT_READ)),
    FAILS(msync, msync(buffer + 1, 1, MS_SYNC)),
    FAILS(shmget, shmget(IPC_PRIVATE, 0, IPC_CREAT)),
    FAILS(shmat, shmat(-1, nullptr, 0)),
    FAILS(socket, socket(-1, SOCK_STREAM, 0)),
    FAILS(socketpair, socketpair(-1, SOCK_STREAM, 0, nullptr)),
    FAILS(bind, bind(no_descriptor, nullptr, 0)),
    FAILS(listen, listen(no_descriptor, 1)),
    FAILS(accept, accept(no_descriptor, nullptr, nullptr)),
    FAILS(connect, connect(no_descriptor, nullptr, 0)),
    FAILS(getsockname, getsockname(no_descriptor, nullptr, nullptr)),
    FAILS(getsockopt, getsockopt(no_descriptor, 0, 0, nullptr, nullptr)),
    FAILS(setsockopt, setsockopt(no_descriptor, 0, 0, nullptr, 0)),
    FAILS(shutdown, shutdown(no_descriptor, SHUT_RD)),
    FAILS(send, send(no_descriptor, buffer, 1, 0)),
    FAILS(recv, recv(no_descriptor, buffer, 1, 0)),
    FAILS(recvfrom, recvfrom(no_descriptor, buffer, 1, 0, nullptr, nullptr)),
    {"getaddrinfo", [] { struct addrinfo* list = nullptr; return number_of(getaddrinfo(nullptr, nullptr, nullptr, &list)); }},
    {"inet_pton", [] { struct in_addr out; return number_of(inet_pton(AF_INET, "x", &out)); }},
    {"inet_aton", [] { struct in_addr out; return number_of(inet_aton("x", &out)); }},
    {"inet_ntop", [] { struct in_addr in = {}; return number_of(inet_ntop(AF_INET, &in, buffer, 1)); }},
    FAILS(inet_addr, static_cast<int>(inet_addr("x"))),
    FAILS(if_nametoindex, if_nametoindex("no such one")),
    {"getpwnam_r", [] { struct passwd out; struct passwd* result = &out; return number_of(getpwnam_r("root", &out, buffer, 1, &result)) + (result == nullptr ? 0 : 1000); }},
    {"getgrgid_r", [] { struct group out; struct group* result = &out; return number_of(getgrgid_r(0, &out, buffer, 1, &result)) + (result == nullptr ? 0 : 1000); }},
    FAILS(getpwnam, getpwnam("no such user")),
    FAILS(execv, execv(no_file, no_arguments)),
    FAILS(waitpid, waitpid(INT_MAX, nullptr, 0)),
    FAILS(kill, kill(INT_MAX, 0)),
    FAILS(signal, reinterpret_cast<long>(signal(-1, SIG_DFL))),
    FAILS(sigaction, sigaction(-1, nullptr, nullptr)),
    {"sigprocmask", [] { sigset_t set; sigemptyset(&set); return number_of(sigprocmask(77, &set, nullptr)); }},
    {"getrlimit", [] { struct rlimit out; return number_of(getrlimit(static_cast<__rlimit_resource_t>(77), &out)); }},
    FAILS(sysconf, sysconf(-1)),
    {"pthread_attr_setstacksize", [] { pthread_attr_t attributes; pthread_attr_init(&attributes); return number_of(pthread_attr_setstacksize(&attributes, 1)); }},
    {"pthread_mutex_trylock", [] { static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; pthread_mutex_trylock(&mutex); return number_of(pthread_mutex_trylock(&mutex)); }},
    {"pthread_sigmask", [] { sigset_t set; sigemptyset(&set); return number_of(pthread_sigmask(77, &set, nullptr)); }},
    {"clock_gettime", [] { struct timespec out; return number_of(clock_gettime(77, &out)); }},
    {"localtime", [] { const time_t never = no_year; return number_of(localtime(&never)); }},
    {"gmtime", [] { const time_t never = no_year; return number_of(gmtime(&never)); }},
    {"timegm", [] { struct tm when = {}; when.tm_year = INT_MAX; when.tm_mon = INT_MAX; return number_of(timegm(&when)); }},
    {"strptime", [] { struct tm out; return number_of(strptime("x", "%Y", &out)); }},
    FAILS(setlocale, setlocale(LC_ALL, "no_such.locale")),
    FAILS(newlocale, newlocale(LC_ALL_MASK, "no_such.locale", nullptr)),
    FAILS(iconv_open, iconv_open("no such", "code")),
    FAILS(dlopen, dlopen(no_file, RTLD_NOW)),
    FAILS(dlsym, dlsym(RTLD_DEFAULT, "no such symbol")),
};
// clang-format on

}  // namespace

TEST_CASE("each function of the table is in the C library, once", "[library_failures]") {
  void* const libc = dlopen("libc.so.6", RTLD_NOW);
  REQUIRE(libc != nullptr);
  std::set<std::string> names;
  for (const LibraryFailure& failure : recover::library_failures()) {
    INFO(failure.name);
    CHECK(dlsym(libc, failure.name) != nullptr);
    CHECK(names.insert(failure.name).second);
    CHECK(recover::find_library_failure(failure.name) == &failure);
  }
  CHECK(names.size() >= 95);
  CHECK(recover::find_library_failure("selfheal") == nullptr);
}

TEST_CASE("what the table says is what the function returns when it fails", "[library_failures]") {
  std::set<std::string> tried;
  for (const Failing& each : failing) {
    INFO(each.name);
    const LibraryFailure* said = recover::find_library_failure(each.name);
    REQUIRE(said != nullptr);
    constexpr int untouched = 12345;
    errno = untouched;
    const long returned = each.call();
    const int error = errno;
    const bool number = said->form == FailureForm::number;
    // Which one it is depends on how it was made to fail.
    CHECK((number ? returned > 0 && returned < 134 && said->value() > 0
           : said->form == FailureForm::code
               ? returned != 0 && (returned < 0) == (said->value() < 0)
               : returned == said->value()));
    if (number) {
      CHECK(said->error_number() == 0);
      // The pages of others (posix_memalign) call errno indeterminate.
      CHECK((error == untouched || std::strncmp(each.name, "pthread_", 8) != 0));
    }
    CHECK(tried.insert(each.name).second);
  }
  CHECK(tried.size() > 100);
}

TEST_CASE("how a function fails and how it succeeds are told apart", "[library_failures]") {
  for (const LibraryFailure& failure : recover::library_failures()) {
    INFO(failure.name);
    CHECK(failure.value() != failure.success());
    CHECK(failure.error != 0);
    CHECK(failure.out_argument <= 6);
  }
}
