#include "test/hard_cases/subject.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "include/selfheal/selfheal.h"
#include "test/hard_cases/facts.h"

namespace hard {
namespace {

const Case* cases = nullptr;
Facts* facts = nullptr;
decltype(&selfheal_get_statistics) get_statistics = nullptr;

selfheal_statistics now() {
  selfheal_statistics statistics{};
  statistics.size = sizeof statistics;
  if (get_statistics != nullptr) {
    get_statistics(&statistics);
  }
  return statistics;
}

void look(const selfheal_statistics& statistics) {
  facts->region_calls = statistics.region_calls;
  facts->went_native = statistics.went_native;
}

void open_facts() {
  const char* path = getenv(facts_variable);
  if (path == nullptr) {
    return;
  }
  const int file = open(path, O_RDWR | O_CLOEXEC);
  void* mapping = mmap(nullptr, sizeof(Facts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapping == MAP_FAILED) {
    perror(path);
    exit(125);
  }
  facts = static_cast<Facts*>(mapping);
  // Another program that the case executes has nothing to say there.
  unsetenv(facts_variable);
  get_statistics =
      reinterpret_cast<decltype(get_statistics)>(dlsym(RTLD_DEFAULT, "selfheal_get_statistics"));
}

}  // namespace

Case::Case(const char* case_name, const char* its_regions, int (*its_body)(), Expected its_expected)
    : name(case_name), regions(its_regions), body(its_body), expected(its_expected), next(cases) {
  cases = this;
}

void say(const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (write(STDOUT_FILENO, text, static_cast<size_t>(length)) != length) {
    abort();
  }
}

void in_engine(int line) {
  if (get_statistics == nullptr || facts == nullptr) {
    return;
  }
  const selfheal_statistics statistics = now();
  look(statistics);
  ++facts->asked;
  if ((statistics.region_calls == 0 || statistics.went_native != 0) && facts->missed_line == 0) {
    facts->missed_line = static_cast<uint64_t>(line);
  }
}

bool loaded() {
  return get_statistics != nullptr;
}

int fail() {
  volatile int* const nowhere = nullptr;
  return loaded() ? *nowhere : 0;
}

uint64_t heals() {
  return now().heals;
}

uint64_t region_calls() {
  return now().region_calls;
}

uint64_t bytes_undone() {
  return now().bytes_undone;
}

namespace {

const Case* find(const char* name) {
  for (const Case* c = cases; c != nullptr; c = c->next) {
    if (strcmp(c->name, name) == 0) {
      return c;
    }
  }
  fprintf(stderr, "no case %s\n", name);
  exit(126);
}

int run(const Case& c) {
  const int status = c.body();
  if (facts != nullptr && loaded()) {
    look(now());
  }
  return status;
}

// For the runner: one field a line, the output last.
int describe(const Case& c) {
  printf("%s\n%d\n%d\n%d\n%s\n%s", c.regions, c.expected.status, c.expected.signal,
         c.expected.leaves ? 1 : 0, c.expected.options, c.expected.output);
  return 0;
}

// Does somebody who has read the sources know all cases, and no others?
int compare_names(int count, char** names) {
  int unknown = 0;
  int known = 0;
  for (const Case* c = cases; c != nullptr; c = c->next) {
    bool found = false;
    for (int i = 0; i < count && !found; ++i) {
      found = strcmp(c->name, names[i]) == 0;
    }
    if (!found) {
      fprintf(stderr, "%s is not tested\n", c->name);
    }
    ++(found ? known : unknown);
  }
  return unknown == 0 && known == count ? 0 : 1;
}

int list() {
  for (const Case* c = cases; c != nullptr; c = c->next) {
    puts(c->name);
  }
  return 0;
}

}  // namespace
}  // namespace hard

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "--describe") == 0) {
    return hard::describe(*hard::find(argv[2]));
  }
  if (argc >= 2 && strcmp(argv[1], "--names-are") == 0) {
    return hard::compare_names(argc - 2, argv + 2);
  }
  if (argc == 2 && strcmp(argv[1], "--list") == 0) {
    return hard::list();
  }
  if (argc != 2) {
    fprintf(stderr, "usage: %s [--describe] CASE | --list | --names-are CASE...\n", argv[0]);
    return 126;
  }
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  hard::open_facts();
  return hard::run(*hard::find(argv[1]));
}
